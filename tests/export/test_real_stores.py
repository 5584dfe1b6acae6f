"""MongoDB to S3 through the command line, and stores that fail."""

import hashlib
import json
import random
from datetime import UTC, datetime, timedelta

import boto3
import duckdb
import pyarrow as pa
import pymongo
import pytest
from support.full_disk import files_of_at_most

from lake.servers.ports import free_ports
from lake.systems.registry import open_source

DAY = "2026-07-05"
FILE = """
[lake]
root = "{root}/some/prefix"
[s3]
endpoint_url = "{endpoint_url}"
region = "{region}"
[sources.mongo]
uri = "{uri}"
database = "{database}"
timeout_s = 2
[[dataset]]
name = "events"
source = "mongo"
collection = "events"
time_field = "at"
"""
TABLE = f"some/prefix/tables/events/day={DAY}/data.parquet"
MANIFEST = f"some/prefix/manifests/events/{DAY}.json"


@pytest.fixture
def events(mongo_uri, mongo_database):
    """A collection with 1,200 documents on the day and some on the days around it."""
    midnight = datetime.fromisoformat(DAY).replace(tzinfo=UTC)
    with pymongo.MongoClient(mongo_uri) as client:
        collection = client[mongo_database].events
        collection.insert_many(
            {"at": midnight + timedelta(minutes=n), "n": n} for n in range(-60, 1440, 1)
        )
        collection.insert_many({"at": midnight + timedelta(days=1), "n": n} for n in range(10))
        collection.insert_one({"at": "no date"})
        yield collection


@pytest.fixture
def bucket(s3):
    """Objects of the lake: reads, writes and lists without the lake's own code."""

    class Bucket:
        client = boto3.client("s3", endpoint_url=s3["endpoint_url"], region_name=s3["region"])

        def read(self, key):
            return self.client.get_object(Bucket=s3["bucket"], Key=key)["Body"].read()

        def write(self, key, data):
            self.client.put_object(Bucket=s3["bucket"], Key=key, Body=data)

        def objects(self):
            listed = self.client.list_objects_v2(Bucket=s3["bucket"]).get("Contents", ())
            return {entry["Key"]: self.read(entry["Key"]) for entry in listed}

    return Bucket()


@pytest.fixture
def on_s3(place, s3, s3_root, mongo_uri, mongo_database, events, monkeypatch):
    """The place's configuration, with real servers instead."""
    monkeypatch.setattr("lake.export.open_source", open_source)  # instead of the fake
    place.config.write_text(FILE.format(root=s3_root, uri=mongo_uri, database=mongo_database, **s3))
    return place


def test_a_day_goes_to_s3_and_is_proven(on_s3, lake, bucket, events, tmp_path):
    code, out, _ = lake("export", "--day", DAY)
    assert code == 0
    assert out.startswith("1 exported: 1,440 rows")
    assert set(bucket.objects()) == {TABLE, MANIFEST}
    data, manifest = bucket.read(TABLE), json.loads(bucket.read(MANIFEST))
    midnight = datetime.fromisoformat(DAY).replace(tzinfo=UTC)
    counted = events.count_documents(
        {"at": {"$gte": midnight, "$lt": midnight + timedelta(days=1)}}
    )
    assert manifest["rows"] == manifest["source_count"] == counted == 1440
    assert manifest["bytes"] == len(data)
    assert manifest["sha256"] == hashlib.sha256(data).hexdigest()
    (tmp_path / "data.parquet").write_bytes(data)
    answer = (
        duckdb.connect().sql(f"SELECT count(*), sum(n) FROM '{tmp_path}/data.parquet'").fetchone()
    )
    assert answer == (1440, sum(range(1440)))
    assert lake("export", "--day", DAY)[1] == "1 skipped\n"
    assert lake("export", "--day", DAY, "--force")[1].startswith("1 rewritten")
    assert bucket.read(TABLE) == data
    status = json.loads(lake("status", "--json", "--day", DAY)[1])["datasets"][0]
    assert status["days"][DAY]["state"] == "verified"
    assert status["undated"] == 1
    assert lake("verify", "--source")[0] == 0
    first = events.find_one({"n": 61})
    assert lake("verify", "--deep")[0] == 0
    events.update_one({"_id": first["_id"]}, {"$set": {"n": 60_061}})
    assert lake("verify", "--source")[0] == 0
    code, out, _ = lake("verify", "--deep")
    assert code == 1
    assert "the source's rows have changed (01:00: 60 rows exported, 60 now)" in out


def test_damage_on_s3_is_found_and_mended(on_s3, lake, bucket):
    lake("export", "--day", DAY)
    data = bucket.read(TABLE)
    flipped = bytearray(data)
    flipped[1000] ^= 4
    bucket.write(TABLE, bytes(flipped))
    code, out, _ = lake("verify")
    assert code == 1
    assert "sha256 is not its manifest's" in out
    assert lake("export", "--day", DAY, "--force")[0] == 0
    assert bucket.read(TABLE) == data
    bucket.write(TABLE, data[:-1])
    assert "damaged" in lake("status", "--day", DAY)[1]
    assert lake("export", "--day", DAY)[1].startswith("1 rewritten")
    assert lake("verify")[0] == 0


def test_documents_that_came_late_and_documents_that_went(on_s3, lake, bucket, events):
    late = "2026-07-06"  # four days old: within the lateness window of eight
    assert lake("export", "--day", late)[1].startswith("1 exported: 10 rows")
    noon = datetime(2026, 7, 6, 12, tzinfo=UTC)
    events.insert_one({"at": noon, "n": 99})
    assert "1 late" in lake("status", "--day", late)[1]
    assert lake("export", "--day", late)[1].startswith("1 rewritten: 11 rows")
    before = bucket.objects()
    events.delete_many({"at": {"$gte": datetime(2026, 7, 6, tzinfo=UTC)}})
    assert "1 differs" in lake("status", "--day", late)[1]
    assert lake("export", "--day", late)[1] == "1 skipped\n"
    code, _, err = lake("export", "--day", late, "--force")
    assert code == 1
    assert "fewer rows than before" in err
    assert bucket.objects() == before


FAULTS = {
    "a wrong secret": ({"AWS_SECRET_ACCESS_KEY": "wr0ng-s3cret"}, "S3 refused"),
    "an unknown bucket": ({"LAKE_LAKE__ROOT": "s3://no-such-bucket"}, "no such bucket"),
    "S3 away": ({"LAKE_S3__ENDPOINT_URL": "http://127.0.0.1:{port}"}, "S3 can't be reached"),
    "MongoDB away": (
        {"LAKE_SOURCES__MONGO__URI": "mongodb://me:pa%2Fssw0rd@127.0.0.1:{port}"},
        "no MongoDB server answers",
    ),
    "an unknown collection": (
        {"LAKE_DATASET__EVENTS__COLLECTION": "event"},
        "no collection 'event'",
    ),
}


@pytest.mark.parametrize("fault", FAULTS)
def test_what_fails_is_told_and_changes_nothing(on_s3, lake, bucket, monkeypatch, fault):
    assert lake("export", "--day", DAY)[0] == 0
    before = bucket.objects()
    variables, what = FAULTS[fault]
    port = free_ports(["x"])["x"]
    monkeypatch.setenv("AWS_MAX_ATTEMPTS", "1")
    for name, value in variables.items():
        monkeypatch.setenv(name, value.format(port=port))
    for day in (DAY, "2026-07-04"):
        code, out, err = lake("-v", "export", "--day", day, "--force", "--json")
        assert code == 1
        failed = json.loads(out)["partitions"][0]
        assert failed["state"] == "failed"
        assert failed["error"]["what"] == what
        assert failed["error"]["where"]
        assert failed["error"].get("remedy") or failed["error"].get("expected")
        for secret in ("wr0ng-s3cret", "ssw0rd", "pa/ss"):
            assert secret not in out + err
    for name in variables:
        monkeypatch.delenv(name)
    assert bucket.objects() == before


def test_a_full_disk_fails_its_own_day_only(place, lake):
    """Files may have 300 kB here; the day that does not fit leaves the others alone."""
    noise = random.Random(1)

    def noisy(day, details):
        for batch in original(day, details):
            texts = [noise.randbytes(50).hex() for _ in range(batch.num_rows)]
            yield batch.set_column(1, "text", pa.array(texts))

    original, place.source._batches = place.source._batches, noisy
    place.source.rows = {"2026-07-01": 100, DAY: 100, "2026-07-06": 100}
    assert lake("export", "events", "--from", "2026-07-01", "--to", "2026-07-07")[0] == 0
    before = place.files()
    place.source.rows[DAY] = 20_000
    with files_of_at_most(300_000):
        code, _, err = lake(
            "export", "events", "--from", "2026-07-01", "--to", "2026-07-07", "--force"
        )
    assert code == 1
    assert f"events {DAY} failed: no space left" in err
    assert err.count("rewritten") == 5
    after = place.files()
    assert {key: after[key] for key in after if DAY in key} == {
        key: before[key] for key in before if DAY in key
    }
    assert list((place.store.root / ".parts").iterdir()) == []
    assert lake("verify")[0] == 0
