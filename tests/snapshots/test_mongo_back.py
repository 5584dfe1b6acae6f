"""A MongoDB snapshot is of now, holds what it claims, and comes back as it was."""

from __future__ import annotations

import random
from dataclasses import replace
from datetime import UTC, datetime
from shutil import which

import pymongo
import pytest
from bson import Code
from support.answers import mongo_database
from support.mongo_archives import described, written
from support.places import DAY, TODAY
from support.rewriting_proxy import rewriting

from lake.base.day import Day
from lake.base.errors import Incomplete, Missing, TransientError
from lake.snapshots.holding import snapshot_holding
from lake.snapshots.manifest import read_snapshot, snapshot_manifest_key
from lake.systems.mongo.snapshot.load import load_dump

WAYS = ["native", "mongodump", "without mongorestore"]


@pytest.fixture(params=WAYS)
def way(request, monkeypatch) -> str:
    """Our own layout; the real programs; their archive on a machine without them."""
    if request.param != "native" and not (which("mongodump") and which("mongorestore")):
        pytest.skip("mongodump and mongorestore are not on PATH")
    return request.param


@pytest.fixture
def here(place, mongo_uri, app_database):
    return place(
        sources__mongo={"uri": mongo_uri, "database": app_database},
        snapshots__mongo={"tool": "native"},
        dataset=[{"name": "d", "source": "mongo", "collection": "a", "time_field": "at"}],
    )


@pytest.fixture
def database(mongo_uri, app_database):
    with pymongo.MongoClient(mongo_uri) as client:
        yield client[app_database]


def filled(database) -> list[int]:
    """What other tools have been seen to lose. The order of the capped collection."""
    database.req.insert_many([{"path": path} for path in ("/api/a", "/api/health", "/web")])
    shown = {"path": {"$regex": "^/api", "$ne": "/api/health"}}
    database.command({"create": "api", "viewOn": "req", "pipeline": [{"$match": shown}]})
    rule = {"email": {"$regex": "@example", "$exists": True, "$type": "string"}}
    database.create_collection("users", validator=rule)
    database.old.insert_one({"_id": 1, "name": "older than the rule"})
    database.command("collMod", "old", validator={"$jsonSchema": {"required": ["email"]}})
    database["system.js"].insert_one({"_id": "f", "value": Code("function(x) { return x }")})
    database.create_collection("audit", capped=True, size=100_000)
    order = random.Random(4).sample(range(50), 50)
    for number in order:
        database.audit.insert_one({"_id": number})
    series = {"timeField": "at", "metaField": "host"}
    database.create_collection("series", timeseries=series, expireAfterSeconds=30 * 86_400)
    rows = [{"at": DAY.start, "host": f"h{number % 3}", "v": number / 2} for number in range(200)]
    database.series.insert_many(rows)
    return order


def without_ttl(content: dict) -> dict:
    content["series"]["options"].pop("expireAfterSeconds", None)
    return content


@pytest.mark.slow
def test_nothing_of_a_database_is_lost_or_changed(
    here, place, mongo_uri, app_database, database, way, monkeypatch
):
    order = filled(database)
    expected = without_ttl(mongo_database(mongo_uri, app_database))
    if way != "native":
        here = place(
            sources__mongo={"uri": mongo_uri, "database": app_database},
            snapshots__mongo={"tool": "mongodump"},
        )
    here.take("mongo")
    here.restore("mongo")
    if way == "without mongorestore":
        monkeypatch.setenv("PATH", "")
    with here.served("mongo") as served, pymongo.MongoClient(served.endpoint["uri"]) as client:
        restored = without_ttl(mongo_database(served.endpoint["uri"], app_database))
        back = client[app_database]
        assert [document["_id"] for document in back.audit.find()] == order
        assert [document["path"] for document in back.api.find()] == ["/api/a"]
        assert back.series.count_documents({"v": {"$gte": 50}}) == 100
        options = next(back.list_collections(filter={"name": "series"}))["options"]
        assert options.get("expireAfterSeconds", "off") == "off"  # nothing expires here
    assert served.checked["documents"]["series"] == 200
    assert any("series" in remark for remark in served.remarks)
    assert restored == expected


@pytest.mark.skipif(not which("mongorestore"), reason="mongorestore is not on PATH")
def test_our_layout_is_what_mongorestore_takes(here, database, mongo_uri, app_database):
    import subprocess  # noqa: PLC0415

    filled(database)
    expected = mongo_database(mongo_uri, app_database)
    here.take("mongo")
    dump = here.restore("mongo").directory
    target = f"{app_database}_back"
    names = [f"--nsFrom={app_database}.*", f"--nsTo={target}.*"]
    done = subprocess.run(
        ["mongorestore", "--uri", mongo_uri, "--gzip", "--bypassDocumentValidation",
         "--maintainInsertionOrder", *names, str(dump)],
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    restored = mongo_database(mongo_uri, target)
    database.client.drop_database(target)
    assert done.returncode == 0, done.stderr
    # A bucket for each host: MongoDB itself would now show 200 measurements.
    assert len(restored.pop("system.buckets.series")["documents"]) == 3
    series, before = restored.pop("series"), expected.pop("series")
    assert series["options"]["timeseries"] == before["options"]["timeseries"]
    assert restored == expected


def test_a_database_that_is_gone_leaves_the_good_snapshot(here, database, mongo_uri):
    database.a.insert_many([{"_id": number, "at": DAY.start} for number in range(50)])
    good = here.take("mongo").manifest
    database.client.drop_database(database.name)
    database.client.other.a.insert_one({"_id": 1})
    try:
        with pytest.raises(Missing, match=f"no database '{database.name}'") as failed:
            here.take("mongo")
    finally:
        database.client.drop_database("other")
    assert "other" in failed.value.parts["found"]
    assert "[sources.mongo]" in failed.value.parts["remedy"]
    assert here.manifest("mongo") == good


@pytest.mark.parametrize("later", [0, 1])
def test_a_much_smaller_snapshot_takes_no_place(here, database, later):
    """Neither that of the same day nor, on a later one, that of the newest."""
    database.a.insert_many([{"_id": number, "at": DAY.start} for number in range(50)])
    database.b.insert_many([{"_id": number} for number in range(500)])
    good = here.take("mongo").manifest
    on = TODAY.plus(later)
    database.a.delete_many({"_id": {"$gte": 24}})  # of a dataset; of all it is little
    with pytest.raises(Incomplete, match="much less") as failed:
        here.take("mongo", on)
    assert failed.value.parts["expected"].startswith("documents of a: about 50")
    assert failed.value.parts["found"] == "24"
    database.a.insert_one({"_id": 25, "at": DAY.start})
    database.b.delete_many({"_id": {"$gte": 5}})
    with pytest.raises(Incomplete, match="much less") as failed:
        here.take("mongo", on)
    assert failed.value.parts["expected"].startswith("documents: about 550")
    assert "--allow-shrink" in failed.value.parts["remedy"]
    assert here.manifest("mongo") == good
    assert [stat.key for stat in here.store.list("mongo/") if "manifest" in stat.key] == [
        snapshot_manifest_key("mongo", TODAY)
    ]
    smaller = here.take("mongo", on, allow_shrink=True).manifest
    assert smaller.counts == {"documents": {"a": 25, "b": 5}}
    assert here.take("mongo", on).manifest.counts == smaller.counts


def test_the_counts_by_day_are_the_sources(here, database):
    """Counted by the server in another way, over documents of every kind."""
    chance = random.Random(7)
    rows = [{"at": chance.choice([DAY, DAY.plus(-1), DAY.plus(-3)]).start} for _ in range(60)]
    others = [{"at": "text"}, {}, {"at": [DAY.start]}, {"at": TODAY.start}, {"at": None}]
    database.a.insert_many(rows + others)
    manifest = here.take("mongo").manifest
    expected = {}
    for ago in range(1, 6):
        day = TODAY.plus(-ago)
        count = sum(row["at"] == day.start for row in rows)
        if count:
            expected[str(day)] = count
    assert manifest.details["documents_by_day"] == {"d": expected}
    assert manifest.whole_days == [str(DAY.plus(-ago)) for ago in (3, 2, 1, 0)]


def test_a_database_without_datasets_holds_yesterday(place, database, mongo_uri, app_database):
    """Unless an index has begun to remove what is of that day."""
    here = place(
        sources__mongo={"uri": mongo_uri, "database": app_database},
        snapshots__mongo={"tool": "native"},
    )
    database.a.insert_one({"n": 1})
    taken = here.take("mongo").manifest
    assert taken.whole_days == [str(TODAY.plus(-1))]
    assert snapshot_holding(here.store, "mongo", TODAY.plus(-1)) == taken
    database.b.create_index("at", expireAfterSeconds=3600)
    assert here.take("mongo", allow_shrink=True).manifest.whole_days == []


def test_counts_where_the_server_lacks_the_operators(here, database, monkeypatch):
    database.a.insert_many([{"at": DAY.start}, {"at": DAY.plus(-2).start}, {"at": 5}])
    expected = here.take("mongo").manifest.details["documents_by_day"]
    monkeypatch.setattr("lake.systems.mongo.snapshot.days._pipeline", lambda *_: [{"$nonsense": 1}])
    assert here.take("mongo").manifest.details["documents_by_day"] == expected


def test_an_operation_that_takes_too_long_is_not_tried_in_another_way(here, database, monkeypatch):
    """Only a missing operator is a reason to count day by day."""
    database.a.insert_one({"at": DAY.start})
    expired = pymongo.errors.ExecutionTimeout("operation exceeded time limit", 50)

    def fails(*_, **__):
        raise expired

    monkeypatch.setattr(pymongo.collection.Collection, "aggregate", fails)
    with pytest.raises(TransientError):
        here.take("mongo")


def test_a_collection_that_no_dataset_names_is_missed(here, database):
    """However few documents it had, whether it was dropped or emptied."""
    database.a.insert_many([{"_id": number, "at": DAY.start} for number in range(50)])
    database.settings.insert_one({"_id": 1})
    here.take("mongo")
    for remove in (lambda: database.settings.delete_many({}), database.settings.drop):
        remove()
        with pytest.raises(Incomplete, match="much less") as failed:
            here.take("mongo", TODAY.plus(1))
        assert failed.value.parts["expected"].startswith("documents of settings: about 1")
    here.take("mongo", TODAY.plus(1), allow_shrink=True)
    here.take("mongo", TODAY.plus(2))


def test_losses_of_several_days_add_up(here, database):
    database.a.insert_many([{"_id": number, "at": DAY.start} for number in range(100)])
    here.take("mongo")
    database.a.delete_many({"_id": {"$gte": 60}})
    here.take("mongo", TODAY.plus(1))
    database.a.delete_many({"_id": {"$gte": 40}})  # of 60 a third, of 100 more than half
    with pytest.raises(Incomplete, match="much less") as failed:
        here.take("mongo", TODAY.plus(2))
    assert failed.value.parts["expected"].startswith("documents: about 100")
    here.take("mongo", TODAY.plus(2), allow_shrink=True)
    database.a.delete_many({"_id": {"$gte": 30}})  # the larger ones don't count any more
    here.take("mongo", TODAY.plus(3))


def test_a_view_with_a_date_that_python_cannot_hold(place, database, mongo_uri):
    mark = datetime(2001, 2, 3, 4, 5, 6, 789000, tzinfo=UTC)
    database.a.insert_one({"_id": 1, "at": DAY.start})
    pipeline = [{"$match": {"seen": {"$gt": mark}}}]
    database.command({"create": "v", "viewOn": "a", "pipeline": pipeline})
    far = {round(mark.timestamp() * 1000).to_bytes(8, "little"): bytes(7) + b"\x80"}
    with rewriting(mongo_uri, far) as uri:
        here = place(sources__mongo={"uri": uri, "database": database.name})
        assert here.take("mongo").manifest.counts == {"documents": {"a": 1}}


def test_a_ttl_index_takes_days_from_the_claim(here, database):
    database.a.insert_many([{"at": DAY.plus(-ago).start} for ago in range(5)])
    database.a.create_index("at", expireAfterSeconds=3 * 86_400)
    held = here.take("mongo").manifest.whole_days
    assert held in ([str(DAY.plus(-1)), str(DAY)], [str(DAY)])  # the latter shortly after midnight


def test_the_snapshot_that_holds_a_day(here, database):
    """The newest that holds it whole, though a newer one is there."""
    database.a.insert_many([{"at": DAY.plus(-ago).start} for ago in range(5)])
    full = here.take("mongo", TODAY.plus(-1), allow_shrink=True).manifest
    oldest = DAY.plus(-4)
    assert str(oldest) in full.whole_days
    database.a.delete_many({"at": oldest.start})
    now = here.take("mongo").manifest
    assert snapshot_holding(here.store, "mongo", oldest) == full
    assert snapshot_holding(here.store, "mongo", DAY.plus(-1)) == now
    for day in (TODAY, DAY.plus(-9)):
        with pytest.raises(Missing, match=f"no snapshot of mongo holds {day} whole") as failed:
            snapshot_holding(here.store, "mongo", day)
        message = failed.value.parts["found"]
        assert f"{TODAY} holds {DAY.plus(-3)} … {DAY}" in message
        assert f"{TODAY.plus(-1)} holds {oldest} … {DAY.plus(-1)}" in message
        assert "--snapshot" in failed.value.parts["remedy"]


@pytest.mark.parametrize("otherwise", ["a TTL index", "a held one", "a capped collection"])
def test_a_day_of_which_documents_go_by_something_else(here, database, otherwise):
    """Nobody knows how many the day had, unless it was exported."""
    if otherwise == "a capped collection":
        database.create_collection("a", capped=True, size=1_000_000, max=4)
    else:
        limit_s = 2**31 - 1 if otherwise == "a held one" else 0
        database.a.create_index("goes_at", expireAfterSeconds=limit_s)
    database.a.insert_many([{"at": DAY.start, "n": n} for n in range(6)])
    whole = here.take("mongo").manifest.held_days()
    assert whole == ([DAY] if otherwise == "a held one" else [])


def test_a_second_one_does_not_replace_the_only_one_that_holds_a_day(here, database):
    """Of the day before documents have gone since, fewer than half of all."""
    day = DAY.plus(-1)
    database.a.insert_many([{"at": at.start, "n": n} for at in (day, DAY) for n in range(9)])
    first = here.take("mongo").manifest
    assert first.held_days() == [day, DAY]
    database.a.create_index("at", expireAfterSeconds=2 * 86_400)
    database.a.delete_many({"at": day.start, "n": {"$lt": 2}})
    with pytest.raises(Incomplete, match="the only one that holds days whole") as refused:
        here.take("mongo")
    assert refused.value.parts["expected"].startswith(f"{day} whole")
    assert here.manifest("mongo") == first
    # Where another snapshot holds it, or the lake has it, or it may be lost.
    earlier = replace(first, day=str(TODAY.plus(-1)))
    key = snapshot_manifest_key("mongo", TODAY.plus(-1))
    gone = [replace(stored, key=f"{stored.key}-gone") for stored in first.objects]
    here.store.write(key, replace(earlier, objects=gone).to_bytes())
    with pytest.raises(Incomplete, match="the only one that holds days whole"):
        here.take("mongo")
    here.store.write(key, earlier.to_bytes())
    assert here.take("mongo").manifest.held_days()[:1] != [day]
    here.store.write(snapshot_manifest_key("mongo", TODAY), first.to_bytes())
    here.store.delete(key)
    here.take("mongo", allow_shrink=True)
    assert here.manifest("mongo") != first


def test_one_that_has_lost_objects_is_passed_over(here, database):
    """Where another one holds the day; else it is the one whose loss has to be named."""
    database.a.insert_one({"at": DAY.start})
    for day in (TODAY.plus(-1), TODAY):
        here.take("mongo", day, fresh=True)
    older, newer = (here.manifest("mongo", day) for day in (TODAY.plus(-1), TODAY))
    day = DAY.plus(-1)
    for manifest in (older, newer):
        claimed = replace(manifest, whole_days=[str(day)])
        key = snapshot_manifest_key("mongo", Day.parse(manifest.day))
        here.store.write(key, claimed.to_bytes())
    assert snapshot_holding(here.store, "mongo", day).day == newer.day
    here.store.delete(newer.objects[0].key)
    assert snapshot_holding(here.store, "mongo", day).day == older.day
    here.store.write(older.objects[0].key, b"cut")
    assert snapshot_holding(here.store, "mongo", day).day == newer.day


def test_a_manifest_of_an_earlier_version(here, database):
    """It was filed under the day that it was wanted for, and lists no days."""
    database.a.insert_one({"_id": 1, "at": DAY.start})
    manifest = here.take("mongo").manifest
    text = manifest.to_bytes().replace(f'"day": "{TODAY}"'.encode(), f'"day": "{DAY}"'.encode())
    start = text.index(b',\n "whole_days"')
    old = text[:start] + text[text.index(b"]", start) + 1 :]
    here.store.delete(snapshot_manifest_key("mongo", TODAY))
    here.store.write(snapshot_manifest_key("mongo", DAY), old)
    holding = snapshot_holding(here.store, "mongo", DAY)
    assert holding == read_snapshot(here.store, "mongo", DAY)
    assert holding.whole_days is None


def test_buckets_that_nothing_here_unpacks_are_left_out_and_said(
    mongo_uri, app_database, tmp_path, monkeypatch
):
    """MongoDB compresses its own buckets; its stand-in has none."""
    bucket = {"_id": 1, "control": {"version": 2}, "data": {"at": b"x"}}
    options = {"timeseries": {"timeField": "at"}}
    archive = written(
        [described(app_database, "t", "timeseries", options=options), described(app_database, "a")],
        [(app_database, "a", [{"_id": 1}]), (app_database, "system.buckets.t", [bucket])],
    )
    (tmp_path / "mongodump.archive.gz").write_bytes(archive)
    monkeypatch.setenv("PATH", "")
    loaded = load_dump(mongo_uri, tmp_path, hold_ttl=True)
    assert (loaded.documents, loaded.left_out) == ({"t": 0, "a": 1}, ["t"])
    assert "buckets of version 2" in loaded.remarks[0]


def test_what_can_be_asked_for(here, database, lake, tmp_path):
    database.a.insert_one({"_id": 1, "at": DAY.start})
    config = ("--config", str(here.config))
    for day in (DAY, TODAY.plus(1)):
        code, _, err = lake("snapshot", "mongo", "--day", str(day), *config)
        assert (code, f"lake restore mongo --day {day}" in err) == (2, True)
    assert lake("snapshot", "mongo", *config)[0] == 0
    code, _, err = lake(
        "restore", "mongo", "--day", str(Day.today()), "--into", str(tmp_path / "x"), *config
    )
    assert code == 1
    assert f"{TODAY} holds {DAY}" in err
    assert not (tmp_path / "x").exists()
    assert lake("restore", "mongo", "--snapshot", str(TODAY), "--into", str(tmp_path / "x"),
                *config)[0] == 0  # fmt: skip
