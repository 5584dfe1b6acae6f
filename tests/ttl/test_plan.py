"""What may expire, by a real server's documents: each kind of doubt holds the limit up.

The wanted limit is 10 days with a margin of 2: whatever is older than 8 days has to be proven.
"""

from __future__ import annotations

import datetime as dt
import importlib
import json
from pathlib import Path
from typing import Any

import pymongo
import pytest
from pymongo.collection import Collection
from support.hot_documents import DAY_S, NEVER_S, TODAY, Hot, ago, at, days, hot

from lake.holds.changing import add, release
from lake.partition.ledger import read_manifest
from lake.systems.mongo.reading.uri import of_primary

OLD = days(16, 1)


@pytest.fixture
def exported(place: Hot) -> Hot:
    """16 days of 3 documents, all in the lake."""
    place.insert(OLD)
    place.export(OLD)
    return place


def test_where_all_is_proven_the_wanted_limit_may_be_set(exported: Hot) -> None:
    plan = exported.plan()
    assert (plan.decision, plan.target_s, plan.changes) == ("limit", 10 * DAY_S, True), plan.why
    before = plan.now - dt.timedelta(days=10)
    expected = exported.events.count_documents({"timestamp": {"$lt": before}})
    assert plan.at_once == plan.deletes == expected >= 15
    proven = exported.states(plan)
    assert set(proven.values()) == {"proven"}
    # Every day that begins before the horizon, which lies between 9 and 8 days ago.
    assert sorted(proven) == list(range(8, 17))
    assert exported.limit_s is None  # a plan changes nothing
    assert exported.entries() == []


def test_a_day_that_is_missing_holds_the_limit_up_so_that_it_does_not_expire(place: Hot) -> None:
    place.insert(OLD)
    place.export([day for day in OLD if day != ago(12)])
    plan = place.plan()
    assert place.states(plan)[12] == "missing"
    assert plan.decision == "held"
    assert plan.target_s == 15 * DAY_S  # today is its 13th, and the margin is 2
    assert f"{ago(12)}: missing" in plan.why
    applied = place.apply()
    assert (applied.state, place.limit_s, applied.ok) == ("done", 15 * DAY_S, False)


def test_a_late_document_holds_it_up(exported: Hot) -> None:
    exported.events.insert_one({"timestamp": at(ago(11)), "late": True})
    plan = exported.plan()
    assert exported.states(plan)[11] == "late"
    assert plan.target_s == 14 * DAY_S
    exported.export([ago(11)], force=True)
    assert exported.plan().decision == "limit"


def test_fewer_documents_than_were_exported_hold_it_up(exported: Hot) -> None:
    exported.events.delete_one({"timestamp": at(ago(11), 1000)})
    plan = exported.plan()
    assert exported.states(plan)[11] == "differs"
    assert plan.decision == "held"


def test_fewer_documents_may_expire_where_that_is_configured(
    exported: Hot, tmp_path: Path, mongo_uri: str
) -> None:
    contained = hot(
        tmp_path, mongo_uri, exported.database, exported.client, ttl='proof = "contained"'
    )
    exported.events.delete_one({"timestamp": at(ago(11), 1000)})
    assert contained.plan().decision == "limit"
    exported.events.update_one({"timestamp": at(ago(11), 2000)}, {"$set": {"number": "changed"}})
    assert contained.states(contained.plan())[11] == "late"


def test_a_changed_document_holds_it_up_unless_counts_are_enough(
    exported: Hot, tmp_path: Path, mongo_uri: str
) -> None:
    exported.events.update_one({"timestamp": at(ago(11), 1000)}, {"$set": {"number": "changed"}})
    assert exported.states(exported.plan())[11] == "differs"
    counting = hot(tmp_path, mongo_uri, exported.database, exported.client, ttl='proof = "count"')
    assert counting.plan().decision == "limit"


@pytest.mark.parametrize("arrived", [0, 1])
def test_a_late_document_is_not_taken_for_an_erased_one(
    place: Hot, tmp_path: Path, mongo_uri: str, arrived: int
) -> None:
    """Two of six were erased and deleted at the source: five are as few as were there before."""
    counting = hot(tmp_path, mongo_uri, place.database, place.client, ttl='proof = "count"')
    counting.insert([ago(12)], each=6)
    counting.export([ago(12)])
    erased = counting.command("erase", "events", "--where", "number < 2", "--yes")
    assert erased.exit_code == 0, erased.output
    place.events.delete_many({"number": {"$lt": 2}})
    for _ in range(arrived):
        place.events.insert_one({"timestamp": at(ago(12)), "number": 7})
    (day,) = counting.plan().days
    assert day.state == ("late" if arrived else "proven")
    assert ("1 of the rows left at the source are not in the lake" in day.why) == bool(arrived)


@pytest.mark.parametrize("damage", ["gone", "cut", "altered", "manifest"])
def test_a_damaged_object_holds_it_up(exported: Hot, damage: str) -> None:
    lake = exported.config.parent / "lake"
    file = lake / f"tables/events/day={ago(11)}/data.parquet"
    data = bytearray(file.read_bytes())
    if damage == "gone":
        file.unlink()
    elif damage == "manifest":
        (lake / f"manifests/events/{ago(11)}.json").write_text("{}")
    else:
        data[len(data) // 2] ^= 1
        file.write_bytes(data[:-1] if damage == "cut" else data)
    plan = exported.plan()
    assert exported.states(plan)[11] == "damaged"
    assert plan.target_s == 14 * DAY_S


def test_another_definition_holds_it_up(exported: Hot, tmp_path: Path, mongo_uri: str) -> None:
    other = hot(
        tmp_path,
        mongo_uri,
        exported.database,
        exported.client,
        dataset='time_fallback = "_id"',
    )
    plan = other.plan()
    assert set(other.states(plan).values()) == {"differs"}
    assert "another definition: time_fallback" in plan.days[0].why


def test_an_array_of_dates_is_of_no_day_and_expires_by_the_earliest(exported: Hot) -> None:
    exported.events.insert_one({"timestamp": [at(ago(1)), at(ago(12))]})
    plan = exported.plan()
    assert plan.undated == 1
    assert (plan.decision, plan.target_s) == ("held", 15 * DAY_S)
    assert "1 row that belongs to no day would expire" in plan.why
    exported.events.delete_one({"timestamp": {"$size": 2}})
    exported.events.insert_one({"timestamp": [at(ago(1)), at(ago(5))]})  # not for days
    assert exported.plan().decision == "limit"


def test_documents_that_never_expire_are_counted(exported: Hot) -> None:
    exported.events.insert_many([{}, {"timestamp": None}, {"timestamp": "2026"}, {"timestamp": []}])
    exported.events.insert_one({"timestamp": [at(ago(1))]})
    plan = exported.plan()
    assert (plan.never, plan.decision) == (4, "limit")


def test_documents_that_were_older_than_the_limit_when_inserted_are_counted(
    exported: Hot,
) -> None:
    # The server has had them since today, by their ObjectIds.
    plan = exported.plan()
    inserted_late = [day for day in OLD if day.days_until(TODAY) > 10]
    assert plan.born_expired == 3 * len(inserted_late)


def test_documents_of_the_far_past_expire_under_any_limit(exported: Hot) -> None:
    exported.events.insert_one({"timestamp": dt.datetime(1950, 1, 1, tzinfo=dt.UTC)})
    plan = exported.plan()
    assert (plan.decision, plan.target_s) == ("hold", None)
    assert "they expire under any limit" in plan.why
    assert exported.apply().state == "unchanged"
    assert exported.limit_s is None


def test_too_great_a_lag_holds_everything(place: Hot) -> None:
    place.insert(days(40, 1))
    place.export(days(38, 1))
    plan = place.plan()
    assert (plan.decision, plan.target_s) == ("hold", None)  # no index is made for that
    assert "max_lag_days" in plan.why
    place.events.create_index("timestamp", expireAfterSeconds=1000 * DAY_S)
    assert place.apply().state == "done"
    assert place.limit_s == NEVER_S


@pytest.mark.parametrize("off", [dt.timedelta(minutes=3), dt.timedelta(days=-400)])
def test_clocks_that_differ_hold_everything(exported: Hot, off: dt.timedelta) -> None:
    exported.events.create_index("timestamp", expireAfterSeconds=100 * DAY_S)
    applied = exported.apply(clock=lambda: dt.datetime.now(dt.UTC) + off)
    assert applied.plan.decision == "hold"
    assert "clock" in applied.plan.why
    assert exported.limit_s == NEVER_S
    assert exported.apply().ok  # lowered again once they agree
    assert exported.limit_s == 10 * DAY_S


def test_a_source_that_cannot_be_counted_holds_everything(
    exported: Hot, monkeypatch: pytest.MonkeyPatch
) -> None:
    exported.events.create_index("timestamp", expireAfterSeconds=100 * DAY_S)
    from lake.base.errors import TransientError  # noqa: PLC0415
    from lake.systems.mongo.reading import MongoReader  # noqa: PLC0415

    def fails(*_: Any) -> Any:
        raise TransientError("no answer")

    monkeypatch.setattr(MongoReader, "count", fails)
    assert exported.apply().plan.decision == "hold"
    assert exported.limit_s == NEVER_S


def test_an_unreadable_lake_holds_everything(exported: Hot) -> None:
    exported.events.create_index("timestamp", expireAfterSeconds=100 * DAY_S)
    state = exported.config.parent / "lake/guard/ttl.json"
    state.parent.mkdir(parents=True)
    state.write_text("not JSON")
    from lake.base.errors import BadData  # noqa: PLC0415

    with pytest.raises(BadData) as raised:
        exported.apply()
    assert "events" in raised.value.__notes__[0]
    assert exported.limit_s == NEVER_S


def test_other_indexes_are_reported_and_left(exported: Hot) -> None:
    exported.events.create_index("timestamp", name="theirs")
    exported.events.create_index("created", name="own", expireAfterSeconds=30 * DAY_S)
    plan = exported.plan()
    assert plan.rule.index.name == "theirs"  # named before it is changed
    assert (plan.ok, len(plan.rule.others)) == (False, 1)
    assert "'own' on created: deletes after 30 days" in plan.rule.others[0]
    exported.apply()
    limits = {
        index["name"]: index.get("expireAfterSeconds") for index in exported.events.list_indexes()
    }
    assert limits == {"_id_": None, "theirs": 10 * DAY_S, "own": 30 * DAY_S}


def test_a_view_is_blocked(
    exported: Hot, tmp_path: Path, mongo_uri: str, client: pymongo.MongoClient[Any]
) -> None:
    client[exported.database].create_collection("seen", viewOn="events", pipeline=[])
    text = exported.config.read_text().replace('collection = "events"', 'collection = "seen"')
    exported.config.write_text(text)
    plan = exported.plan()
    assert (plan.decision, plan.target_s) == ("blocked", None)
    assert "is a view" in plan.why


def test_two_datasets_of_one_collection_hold_each_other(exported: Hot) -> None:
    text = exported.config.read_text()
    second = '[[dataset]]\nname = "again"\nsource = "mongo"\ncollection = "events"\n'
    exported.config.write_text(text + second)
    result = exported.command("ttl", "plan", "--json")
    assert result.exit_code == 1
    both = json.loads(result.stdout)["datasets"]
    assert [plan["decision"] for plan in both] == ["hold", "hold"]
    off = "\n[ttl.dataset.again]\nenabled = false\n"
    exported.config.write_text(text + second + off)
    result = exported.command("ttl", "plan", "events", "--json")
    assert result.exit_code == 0


def test_an_export_of_nothing_holds_nothing(place: Hot) -> None:
    place.insert(days(3, 1))  # young documents need no proof yet
    assert place.plan().decision == "limit"


def test_a_held_day_does_not_expire_although_it_is_proven(exported: Hot) -> None:
    place = exported
    held = add(place.settings, place.store, ["events"], ago(12), ago(11), "case 17")
    plan = place.plan()
    assert place.states(plan)[12] == "held"
    assert place.states(plan)[13] == "proven"
    assert (plan.decision, plan.target_s) == ("held", 15 * DAY_S)
    assert "case 17" in plan.why
    applied = place.apply()
    assert (applied.state, place.limit_s, applied.ok) == ("done", 15 * DAY_S, False)
    release(place.store, held.id, "closed")
    assert (place.apply().ok, place.limit_s) == (True, 10 * DAY_S)
    # A hold that comes when the limit is in force already: what is left of the day stays.
    add(place.settings, place.store, ["*"], ago(9), None, "case 18")
    assert (place.apply().ok, place.limit_s) == (False, 12 * DAY_S)


def test_a_hold_that_can_not_be_read_stops_all_expiry(exported: Hot) -> None:
    exported.apply()
    exported.store.write("holds/case.json", b"{")
    applied = exported.apply()
    assert not applied.ok
    assert exported.limit_s == NEVER_S or exported.limit_s > 17 * DAY_S
    assert "can't be read" in applied.plan.why


def test_a_hold_that_comes_after_the_plan_stops_it(exported: Hot) -> None:
    def held_meanwhile(plans: Any) -> None:
        add(exported.settings, exported.store, ["events"], ago(14), None, "case 17")

    applied = exported.apply(confirm=held_meanwhile)
    assert applied.state == "abandoned"
    assert "case 17" in applied.why
    assert exported.limit_s == NEVER_S


def test_what_would_be_deleted_is_read_from_the_primary(place, monkeypatch):
    """A secondary may lack the latest documents of old days."""
    modes = []

    def noted(method):
        def noting(self, *arguments, **options):
            modes.append(self.read_preference.name)
            return method(self, *arguments, **options)

        return noting

    place.insert(days(3, 1))
    place.export(days(3, 1))
    text = place.config.read_text()
    uri = place.settings.sources.mongo.uri
    place.config.write_text(text.replace(uri, f"{uri}?readPreference=secondary"))
    for name in ("find", "find_one", "count_documents"):
        monkeypatch.setattr(Collection, name, noted(getattr(Collection, name)))
    with place.site() as site:
        dataset, expiry = site.settings.dataset[0], site.expiry_of("mongo")
        end = TODAY.start_ms
        assert expiry.first_ms(dataset, None, end) == ago(3).start_ms
        assert expiry.expiring(dataset, end) == 9
        assert (expiry.undated(dataset, end), expiry.never(dataset)) == (0, 0)
        assert expiry.born_expired(dataset, ago(1), DAY_S) == 0
        manifest = read_manifest(site.store, "events", ago(1))
        assert expiry.unknown(dataset, ago(1), site.store, manifest) == 0
    assert set(modes) == {"Primary"}


def test_a_day_is_proven_by_the_primary_wherever_exports_read(
    tmp_path: Path, mongo_uri: str, mongo_database: str, client: Any, monkeypatch: Any
) -> None:
    """A late row that a secondary does not have yet would expire unproven."""
    options = "readPreference=secondaryPreferred&maxStalenessSeconds=120"
    place = hot(tmp_path, f"{mongo_uri}/?{options}", mongo_database, client)
    place.insert(OLD)
    place.export(OLD)
    uris = []

    def connect(section: Any) -> Any:
        uris.append(section.uri)
        return reader.connect(section)

    reader = importlib.import_module("lake.systems.mongo.reading.connection")
    monkeypatch.setattr("lake.systems.mongo.reading.reader.connect", connect)
    plan = place.plan()
    assert plan.decision == "limit", plan.why
    assert uris == [f"{mongo_uri}/"]


@pytest.mark.parametrize(
    ("options", "left"),
    [
        ("", ""),
        ("/", "/"),
        ("/?readPreference=secondary", "/"),
        ("/app?tls=true&readPreference=nearest&readPreferenceTags=dc:a", "/app?tls=true"),
        ("/?ReadPreference=secondary;maxStalenessSeconds=90;w=1", "/?w=1"),
        ("/?w=1;tls=true", "/?w=1;tls=true"),
    ],
)
def test_a_uri_of_the_primary(options: str, left: str) -> None:
    assert of_primary(f"mongodb://a,b{options}") == f"mongodb://a,b{left}"


def test_a_hold_keeps_the_days_of_a_renamed_dataset(exported: Hot) -> None:
    add(exported.settings, exported.store, ["events"], ago(12), ago(11), "case 17")
    assert exported.states(exported.plan())[12] == "held"
    text = exported.config.read_text()
    exported.config.write_text(text.replace('name = "events"', 'name = "visits"'))
    exported.export(OLD)
    plan = exported.plan()
    assert {age for age, state in exported.states(plan).items() if state == "held"} == {12}
    assert (plan.dataset, plan.decision) == ("visits", "held")
