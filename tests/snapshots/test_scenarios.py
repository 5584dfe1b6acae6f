"""From a loaded server through a store to a temporary server: the same answers."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path
from shutil import which
from typing import Any

import boto3
import pymongo
import pytest
from support.answers import loki_lines, mongo_database, prometheus_samples
from support.places import DAY, TODAY
from support.system_loading import load_loki, load_mongo, takes_metadata

from lake.base.errors import Incomplete
from lake.servers import Binary, has_version, start
from lake.snapshot import list_snapshots, take_snapshot, verify_snapshot
from lake.snapshots.manifest import snapshot_manifest_key
from lake.systems.loki.snapshot.taking import LokiSnapshotter
from lake.systems.mongo.snapshot.loading import NEVER_S


def test_metrics(place, root, own_prometheus):
    endpoint = own_prometheus.endpoints["prometheus"]
    here = place(
        **root,
        sources__prometheus={"url": endpoint["url"]},
        snapshots__prometheus={"data_dir": endpoint["data_dir"]},
    )
    taken = here.take("prometheus")
    expected = prometheus_samples(endpoint["url"], DAY)
    assert sum(map(len, expected.values())) == taken.manifest.counts["day_samples"] == 6 * 1440
    (listed,) = list_snapshots(here.store, ("prometheus",))
    assert listed == taken.manifest
    assert verify_snapshot(here.store, listed).problems == ()
    here.restore("prometheus")
    with here.served("prometheus") as served:
        assert served.checked == {"day_samples": 6 * 1440}
        assert prometheus_samples(served.endpoint["url"], DAY) == expected
    again = here.take("prometheus")
    assert again.sent_bytes < 4000  # the head is a new block with the same chunks


def test_logs(place, root, own_loki, loki_program, monkeypatch):
    endpoint = own_loki.endpoints["loki"]
    here = place(
        **root,
        sources__loki={"url": endpoint["url"]},
        snapshots__loki={name: endpoint[name] for name in ("data_dir", "config_file")},
    )
    taken = here.take("loki")
    expected = loki_lines(endpoint["url"], DAY)
    assert len(expected) == taken.manifest.counts["day_lines"] == 900
    assert bool(expected[0][3]) == takes_metadata(loki_program)
    assert DAY in taken.manifest.held_days()
    assert taken.manifest.server == {"name": "Loki", "version": loki_program.version}
    here.restore("loki")
    monkeypatch.chdir(here.folder)  # the server runs in a directory of its own
    with here.served("loki", Path("into")) as served:
        assert loki_lines(served.endpoint["url"], DAY) == expected
        assert served.remarks == []  # of the version that the data came from
    assert verify_snapshot(here.store, here.manifest("loki")).problems == ()


@pytest.fixture(params=["native", "mongodump"])
def tool(request) -> str:
    """Our own writer, and the real programs where they are."""
    if request.param == "mongodump" and not (which("mongodump") and which("mongorestore")):
        pytest.skip("mongodump and mongorestore are not on PATH")
    return request.param


@pytest.mark.slow
def test_documents(place, root, mongo_uri, app_database, tool):
    with pymongo.MongoClient(mongo_uri) as client:
        load_mongo(client[app_database])
        expected = mongo_database(mongo_uri, app_database)
        here = place(
            **root,
            sources__mongo={"uri": mongo_uri, "database": app_database},
            snapshots__mongo={"tool": tool},
        )
        begun = datetime.now(UTC).isoformat(timespec="milliseconds")
        taken = here.take("mongo")
        assert taken.manifest.counts["documents"]["events"] == 3000
        window = taken.manifest.window
        assert window["start"] is None
        assert begun <= window["end"] <= taken.manifest.created_at
        here.restore("mongo")
        with here.served("mongo") as served:
            restored = mongo_database(served.endpoint["uri"], app_database)
        (remark,) = served.remarks
        assert "at_1 removes nothing (it was 7776000 s)" in remark
        kept = restored["events"]["indexes"]["at_1"]
        assert kept["expireAfterSeconds"] == NEVER_S
        kept["expireAfterSeconds"] = 90 * 86_400
        assert restored == expected
        # Nothing but a metadata file or a member around what changed travels again.
        if tool == "native":
            assert here.take("mongo").sent_bytes == 0
        client[app_database].events.delete_one({"n": 1})
        client[app_database].events.insert_one({"n": -1})
        assert here.take("mongo").manifest.counts["documents"]["events"] == 3000


@pytest.mark.slow
def test_the_temporary_server_goes_on_with_what_was_loaded(place, mongo_uri, app_database):
    with pymongo.MongoClient(mongo_uri) as client:
        client[app_database].a.insert_many([{"_id": number} for number in range(10)])
    here = place(sources__mongo={"uri": mongo_uri, "database": app_database})
    here.take("mongo")
    here.restore("mongo")
    # As after a kill in the middle: half of it is there, and no word that it is whole.
    with (
        start(["mongo"], here.folder / "into") as half,
        pymongo.MongoClient(half.endpoints["mongo"]["uri"]) as client,
    ):
        client[app_database].a.insert_many([{"_id": 1}, {"_id": 99}])
    with here.served("mongo") as served, pymongo.MongoClient(served.endpoint["uri"]) as client:
        assert client[app_database].a.distinct("_id") == list(range(10))
        assert (here.folder / "into/mongo/loaded.json").exists()
        client[app_database].a.delete_many({"_id": {"$gt": 2}})
    # Killed, as `served` ends it, a server may have lost what it was told last.
    with here.served("mongo") as served, pymongo.MongoClient(served.endpoint["uri"]) as client:
        assert client[app_database].a.distinct("_id") == list(range(10))


def test_fewer_documents_than_the_manifest_says(place, mongo_uri, app_database):
    with pymongo.MongoClient(mongo_uri) as client:
        client[app_database].a.insert_many([{"_id": number} for number in range(10)])
    here = place(sources__mongo={"uri": mongo_uri, "database": app_database})
    manifest = here.take("mongo").manifest
    here.restore("mongo")
    manifest.counts["documents"]["a"] = 11
    here.store.write(snapshot_manifest_key("mongo", TODAY), manifest.to_bytes())
    with pytest.raises(Incomplete, match="differs from the snapshot's manifest") as failed:
        here.serve("mongo")
    assert failed.value.parts["expected"] == "a = 11"
    assert failed.value.parts["found"] == "a = 10"


def test_one_day_of_documents(place, mongo_uri, app_database):
    with pymongo.MongoClient(mongo_uri) as client:
        database = client[app_database]
        rows = [
            {"_id": number, "at": DAY.plus(number % 3 - 1).start, "x": "y" * 99}
            for number in range(300)
        ]
        database.events.insert_many([*rows, {"_id": "none"}, {"_id": "text", "at": "today"}])
        database.other.insert_one({"_id": 1})
        database.events.create_index("at")
    here = place(
        sources__mongo={"uri": mongo_uri, "database": app_database},
        snapshots__mongo={"scope": "day"},
        dataset=[
            {"name": "e", "source": "mongo", "collection": "events", "time_field": "at"},
        ],
    )
    taken = here.take("mongo").manifest
    assert taken.counts == {"documents": {"events": 100}}
    assert taken.window == {"start": DAY.start.isoformat(), "end": DAY.end.isoformat()}
    here.restore("mongo")
    with (
        here.served("mongo") as served,
        pymongo.MongoClient(served.endpoint["uri"]) as client,
    ):
        restored = client[app_database]
        assert {document["_id"] for document in restored.events.find()} == {
            number for number in range(300) if number % 3 == 1
        }
        assert restored.list_collection_names() == ["events"]
        assert "at_1" in restored.events.index_information()
    assert here.take("mongo", TODAY.plus(1)).manifest.counts == {"documents": {"events": 100}}
    assert here.take("mongo", TODAY.plus(-5)).manifest.counts == {"documents": {"events": 0}}


@pytest.mark.slow
def test_a_mongo_that_wants_a_log_in(place):
    with start(["mongo"], mongo_auth=True) as own:
        uri = own.endpoints["mongo"]["uri"]
        with pymongo.MongoClient(uri) as client:
            client.app.a.insert_many([{"_id": number} for number in range(9)])
        here = place(sources__mongo={"uri": "mongodb://127.0.0.1:1", "database": "app"})
        settings = here.settings
        mongo = settings.sources.mongo.model_copy(update={"uri": uri})
        sources = settings.sources.model_copy(update={"mongo": mongo})
        settings = settings.model_copy(update={"sources": sources})
        take_snapshot(settings, here.store, "mongo")
    password = uri.split(":")[2].split("@")[0]
    for stat in here.store.list(""):
        assert password.encode() not in here.store.read(stat.key)
    here.restore("mongo")
    with (
        here.served("mongo") as served,
        pymongo.MongoClient(served.endpoint["uri"]) as client,
    ):
        assert client.app.a.count_documents({}) == 9


def test_a_loki_with_tenants(place, loki_program):
    with start(
        ["loki"],
        programs={"loki": loki_program},
        loki_multi_tenant=True,
        loki_config={"ingester": {"flush_check_period": "100ms"}},
    ) as own:
        endpoint, metadata = own.endpoints["loki"], takes_metadata(loki_program)
        load_loki(endpoint["url"], "one", 50, "first", metadata=metadata)
        load_loki(endpoint["url"], "two", 70, "second", metadata=metadata)
        expected = {name: loki_lines(endpoint["url"], DAY, name) for name in ("one", "two")}
        here = place(
            sources__loki={"url": endpoint["url"], "tenant": "two"},
            snapshots__loki={name: endpoint[name] for name in ("data_dir", "config_file")},
        )
        taken = here.take("loki").manifest
    assert taken.counts["day_lines"] == 210
    assert taken.window["start"] is None
    assert taken.window["end"] <= taken.created_at
    assert taken.details["tenant"] == "two"
    here.restore("loki")
    with here.served("loki") as served:  # both are there, whichever was counted
        url = served.endpoint["url"]
        assert {name: loki_lines(url, DAY, name) for name in expected} == expected
        assert len(expected["one"]) == 150


def test_a_loki_that_stores_in_s3(place, s3, monkeypatch, loki_program):
    from_s3_and_back(place, s3, monkeypatch, loki_program, "old")


@pytest.mark.loki(at_least="3.3")
def test_a_loki_that_stores_in_s3_by_its_newer_clients(place, s3, monkeypatch, loki_program):
    from_s3_and_back(place, s3, monkeypatch, loki_program, "new")


def from_s3_and_back(place, s3, monkeypatch, loki_program, clients):
    config = in_s3(s3, loki_program, clients)
    with start(["loki"], programs={"loki": loki_program}, loki_config=config) as own:
        endpoint = own.endpoints["loki"]
        load_loki(endpoint["url"], lines=100, metadata=takes_metadata(loki_program))
        here = place(
            sources__loki={"url": endpoint["url"]},
            snapshots__loki={name: endpoint[name] for name in ("data_dir", "config_file")},
        )
        for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
            monkeypatch.delenv(name)  # Loki's own configuration has them
        expected = loki_lines(endpoint["url"], DAY)
        with monkeypatch.context() as compacting:
            compacting.setattr(LokiSnapshotter, "_object", compacted_meanwhile(s3))
            taken = here.take("loki").manifest
        paths = {file.path.partition("/chunks/")[2] for file in taken.files}
        assert paths & {"index/t/before", "index/t/after"} == {"index/t/after"}
        assert here.take("loki").sent_bytes < 100_000
    assert taken.details["stored_in"] == "s3"
    assert taken.details["lines_in_chunks"] == taken.counts["day_lines"] == len(expected) == 300
    stored = b"".join(here.store.read(stat.key) for stat in here.store.list(""))
    assert s3["secret_key"].encode() not in stored
    here.restore("loki")
    with here.served("loki") as served:
        assert loki_lines(served.endpoint["url"], DAY) == expected


def compacted_meanwhile(s3: dict[str, str]) -> Any:
    """LokiSnapshotter._object, before whose first call one index file takes another one's place."""
    client = boto3.client(
        "s3",
        endpoint_url=s3["endpoint_url"],
        region_name=s3["region"],
        aws_access_key_id=s3["access_key"],
        aws_secret_access_key=s3["secret_key"],
    )
    client.put_object(Bucket=s3["bucket"], Key="index/t/before", Body=b"before")
    original, begun = LokiSnapshotter._object, []

    def copied(self: LokiSnapshotter, *arguments: Any) -> None:
        if not begun:
            begun.append(True)
            client.put_object(Bucket=s3["bucket"], Key="index/t/after", Body=b"after")
            client.delete_object(Bucket=s3["bucket"], Key="index/t/before")
        original(self, *arguments)

    return copied


def in_s3(s3: dict[str, str], program: Binary, clients: str) -> dict[str, Any]:
    """Sections of a Loki that stores in this bucket, by either family of storage clients."""
    keys = {"access_key_id": s3["access_key"], "secret_access_key": s3["secret_key"]}
    endpoint = s3["endpoint_url"].removeprefix("http://")
    common = {"endpoint": endpoint, "region": s3["region"], "insecure": True, **keys}
    old = {"aws": {**common, "bucketnames": s3["bucket"], "s3forcepathstyle": True}}
    new = {
        "use_thanos_objstore": True,
        "object_store": {
            "s3": {**common, "bucket_name": s3["bucket"], "bucket_lookup_type": "path"}
        },
    }
    storage: dict[str, Any] = old if clients == "old" else new
    if clients == "old" and has_version(program, "3"):
        storage["use_thanos_objstore"] = False  # whichever is this version's default
    period = {
        "from": "2020-01-01",
        "store": "tsdb",
        "object_store": "s3",
        "schema": "v13",
        "index": {"prefix": "index_", "period": "24h"},
    }
    if not takes_metadata(program):
        period |= {"store": "boltdb-shipper", "schema": "v11"}
        storage["boltdb_shipper"] = {"shared_store": "s3"}
    sections = {
        "ingester": {"flush_check_period": "100ms"},
        "schema_config": {"configs": [period]},
        "storage_config": storage,
    }
    return (
        sections if takes_metadata(program) else {**sections, "compactor": {"shared_store": "s3"}}
    )
