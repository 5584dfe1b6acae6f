"""Several datasets, several indexes, a run that ends by an error: what is not proven is kept."""

from __future__ import annotations

import datetime as dt
import json
from contextlib import closing
from typing import Any

import pytest
from support.hot_documents import DAY_S, NEVER_S, Hot, ago, at, days

from lake.base.errors import LakeError, PermanentError, Refused
from lake.doctor.expiry import check
from lake.export import Exporter
from lake.systems.mongo.expiry import MongoExpiry
from lake.ttl import AppliedLimit, apply
from lake.ttl.turn import Turn

OLD = days(16, 1)
_SECOND = '[[dataset]]\nname = "second"\nsource = "mongo"\ncollection = "second"\n'


@pytest.fixture
def two(place: Hot) -> Hot:
    """Two collections; the second has a limit in force, and has lost a day within the margin."""
    place.config.write_text(place.config.read_text() + _SECOND)
    settings = place.settings
    with closing(Exporter(settings)) as exporter:
        for dataset in settings.dataset:
            place.client[place.database][dataset.name].insert_many(
                {"timestamp": at(day, 1000 * number)} for day in OLD for number in range(3)
            )
            for day in OLD:
                exporter.export(dataset, day)
    second(place).create_index("timestamp", name="lake_ttl", expireAfterSeconds=10 * DAY_S)
    object_of(place, "second", 9).unlink()
    return place


def second(place: Hot) -> Any:
    return place.client[place.database]["second"]


def object_of(place: Hot, dataset: str, age: int) -> Any:
    return place.config.parent / f"lake/tables/{dataset}/day={ago(age)}/data.parquet"


def limits(place: Hot) -> dict[str, int]:
    indexes = second(place).list_indexes()
    return {
        index["name"]: index["expireAfterSeconds"]
        for index in indexes
        if "expireAfterSeconds" in index
    }


def run(place: Hot, confirm: Any = lambda plans: None) -> dict[str, AppliedLimit]:
    with place.site() as site:
        done = apply(site, site.settings.dataset, show=lambda plan: None, confirm=confirm)
        return {applied.plan.dataset: applied for applied in done}


def left_behind(place: Hot) -> list[str]:
    """What `lake doctor` warns of."""
    checks = check(place.settings, place.store)
    return [check_.found for check_ in checks if check_.subject == "expiry"]


def refuses(*_: Any, **__: Any) -> Any:
    raise Refused("no")


def test_a_limit_is_raised_although_another_dataset_waits_for_its_confirmation(two: Hot) -> None:
    with pytest.raises(Refused):  # as from a timer, for the first deletion of the first dataset
        run(two, refuses)
    assert limits(two) == {"lake_ttl": 12 * DAY_S}
    assert two.limit_s is None
    assert [entry["dataset"] for entry in two.entries()] == ["second", "second"]
    reports = two.command("ttl", "apply", "--yes", "--json")
    assert reports.exit_code == 1
    by_name = json.loads(reports.stdout)["datasets"]
    assert [report["dataset"] for report in by_name] == ["events", "second"]
    assert two.limit_s == 10 * DAY_S


@pytest.mark.parametrize("fails", ["entry", "turn"])
def test_a_store_that_refuses_midway_does_not_keep_the_rest_from_being_raised(
    two: Hot, monkeypatch: pytest.MonkeyPatch, fails: str
) -> None:
    run(two)
    change = {"name": "lake_ttl", "expireAfterSeconds": 10 * DAY_S}
    database = two.client[two.database]
    database.command({"collMod": "second", "index": change})
    object_of(two, "events", 9).unlink()
    if fails == "entry":
        monkeypatch.setattr("lake.audit.append", refuses)
    else:
        renew, calls = Turn.renew, []

        def once(self: Turn) -> None:
            calls.append(1)
            refuses() if len(calls) > 1 else renew(self)

        monkeypatch.setattr(Turn, "renew", once)
    with pytest.raises(LakeError) as raised:
        run(two)
    assert (two.limit_s, limits(two)["lake_ttl"]) == (12 * DAY_S, 12 * DAY_S)
    assert any("second was raised" in note for note in raised.value.__notes__)


def test_an_open_entry_that_can_not_be_read_holds_everything(two: Hot) -> None:
    run(two)
    entries = two.config.parent / "lake/audit"
    last = max(entries.iterdir())
    (entries / f"{int(last.stem) + 1:010}.json").write_text("{}")
    with pytest.raises(LakeError) as raised:
        run(two)
    assert (two.limit_s, limits(two)) == (NEVER_S, {"lake_ttl": NEVER_S})
    assert len(raised.value.__notes__) == 2


def test_every_index_on_the_time_field_is_raised(two: Hot) -> None:
    second(two).drop_indexes()
    second(two).create_index("timestamp", name="up", expireAfterSeconds=10 * DAY_S)
    second(two).create_index([("timestamp", -1)], name="down", expireAfterSeconds=11 * DAY_S)
    second(two).create_index("created", name="theirs", expireAfterSeconds=NEVER_S)
    applied = run(two)["second"]
    assert (applied.state, applied.limit_s) == ("done", 12 * DAY_S)
    assert limits(two) == {"up": 12 * DAY_S, "down": 12 * DAY_S, "theirs": NEVER_S}
    assert any("'down' on the time field" in note for note in applied.plan.notes)
    with closing(Exporter(two.settings)) as exporter:
        exporter.export(two.settings.dataset[1], ago(9), force=True)
    applied = run(two)["second"]
    assert applied.ok, applied.why
    assert min(limits(two).values()) == 10 * DAY_S


def test_one_that_another_makes_while_the_limit_is_set_is_raised(two: Hot) -> None:
    """On the field the other way round: MongoDB takes both."""

    def makes(plans: Any) -> None:
        two.events.create_index([("timestamp", -1)], name="theirs", expireAfterSeconds=DAY_S)

    run(two, makes)
    with_limit = [
        index["expireAfterSeconds"]
        for index in two.events.list_indexes()
        if "expireAfterSeconds" in index
    ]
    assert min(with_limit) == 10 * DAY_S


@pytest.mark.parametrize("lost", ["object", "cut", "manifest", "exported anew"])
def test_a_partition_that_changes_after_the_plan_stops_it(place: Hot, lost: str) -> None:
    place.insert(OLD)
    place.export(OLD)

    def loses(plans: Any) -> None:
        file = object_of(place, "events", 12)
        if lost == "object":
            file.unlink()
        elif lost == "cut":
            file.write_bytes(file.read_bytes()[:-1])
        elif lost == "manifest":
            (place.config.parent / f"lake/manifests/events/{ago(12)}.json").unlink()
        else:
            place.events.update_one({"timestamp": at(ago(12), 1000)}, {"$set": {"number": -1}})
            place.export([ago(12)], force=True)

    applied = place.apply(confirm=loses)
    assert (applied.state, place.limit_s) == ("abandoned", NEVER_S)
    assert f"the partition of {ago(12)} was replaced or removed" in applied.why


def test_a_plan_that_is_no_longer_fresh_is_made_again(place: Hot) -> None:
    """A document that changes while a question waits has the same count as before."""
    text = place.config.read_text().replace("[ttl]", "[ttl]\nmax_clock_skew_s = 3600")
    place.config.write_text(text)
    place.insert(OLD)
    place.export(OLD)
    passed = dt.timedelta()
    shown = []

    def answers_late(plans: Any) -> None:
        nonlocal passed
        place.events.update_one({"timestamp": at(ago(12), 1000)}, {"$set": {"number": -1}})
        passed = dt.timedelta(minutes=11)

    with place.site(clock=lambda: dt.datetime.now(dt.UTC) + passed) as site:
        (applied,) = apply(site, site.settings.dataset, show=shown.append, confirm=answers_late)
    assert [plan.decision for plan in shown] == ["limit", "held"]
    assert (applied.plan.decision, applied.state) == ("held", "done")
    assert place.limit_s == 15 * DAY_S


def test_a_refused_question_leaves_the_others_as_they_are(two: Hot) -> None:
    """No limit is lowered before the answer, of a confirmed dataset neither."""
    with closing(Exporter(two.settings)) as exporter:
        exporter.export(two.settings.dataset[1], ago(9), force=True)
    change = {"name": "lake_ttl", "expireAfterSeconds": 14 * DAY_S}
    two.client[two.database].command({"collMod": "second", "index": change})

    def stops(plans: Any) -> None:
        raise PermanentError("stopped")

    with pytest.raises(PermanentError):
        run(two, stops)
    assert limits(two) == {"lake_ttl": 14 * DAY_S}


@pytest.mark.parametrize("left", ["renamed", "removed", "disabled", "elsewhere"])
def test_a_limit_that_no_guard_looks_after_is_reported(two: Hot, left: str) -> None:
    """Its documents go on expiring, whether or not they were exported."""
    run(two)
    name = "renamed" if left == "renamed" else "second"
    text = two.config.read_text()
    if left == "renamed":
        second(two).rename("renamed")
        two.client[two.database].create_collection("second")
    elif left == "removed":
        text = text.replace(_SECOND, "")
    elif left == "disabled":
        text += "[ttl.dataset.second]\nenabled = false\n"
    else:
        scope = f"{two.database}.second"
        text = text.replace(_SECOND, "").replace("[ttl]", f'[ttl]\nelsewhere = ["{scope}"]')
    two.config.write_text(text)
    done = two.command("ttl", "apply", "--yes")
    warned = left_behind(two)
    if left == "elsewhere":
        assert (done.exit_code, warned) == (0, [])
        return
    what = (
        f"index 'lake_ttl' of {two.database}.{name}: deletes after 12 days what no guard has proven"
    )
    assert done.exit_code == 1
    assert what in done.stdout
    assert len(warned) == 1
    assert what in warned[0]


def test_a_limit_whose_rule_can_not_be_read_is_not_one_without_a_guard(
    two: Hot, monkeypatch: pytest.MonkeyPatch
) -> None:
    run(two)
    rule = MongoExpiry.rule

    def refuses_one(self: MongoExpiry, dataset: Any) -> Any:
        return refuses() if dataset.name == "second" else rule(self, dataset)

    monkeypatch.setattr(MongoExpiry, "rule", refuses_one)
    applied = run(two)
    assert applied["second"].plan.why == "no"
    assert applied["events"].plan.rule.others == ()
    assert not any("no guard has proven" in warned for warned in left_behind(two))


def test_with_every_guard_disabled_doctor_reports_what_is_left(place: Hot) -> None:
    place.insert(OLD)
    place.export(OLD)
    place.apply()
    text = place.config.read_text().replace("enabled = true", "enabled = false")
    place.config.write_text(text)
    (warned,) = left_behind(place)
    assert f"of {place.database}.events: deletes after 10 days" in warned
    change = {"name": "lake_ttl", "expireAfterSeconds": NEVER_S}
    place.client[place.database].command({"collMod": "events", "index": change})
    assert left_behind(place) == []


def test_a_collection_that_was_made_anew_is_another(place: Hot) -> None:
    """Somebody brought old documents back, to look at them: they are proven, and go at once."""
    place.insert(OLD)
    place.export(OLD)
    place.apply()
    documents = list(place.events.find())

    def made_anew(*_: Any) -> None:
        place.events.drop()
        place.events.insert_many(documents)

    made_anew()
    with pytest.raises(Refused):
        place.apply(confirm=refuses)
    assert place.limit_s is None
    applied = place.apply(confirm=made_anew)  # while the question waits
    assert (applied.state, place.limit_s) == ("abandoned", NEVER_S)
    assert "was recreated" in applied.why
    # Whoever looks at metrics alone sees that the limit is not the wanted one.
    held = [line for line in place.command("metrics").stdout.splitlines() if "guard_held{" in line]
    assert [line.rpartition(" ")[2] for line in held] == ["1"]


def test_another_time_field_gets_an_index_of_its_own(place: Hot) -> None:
    """The one on the field before lets nothing expire from then on: not what is new by the field of
    today, either, which no run has proven.
    """
    place.insert(OLD)
    place.export(OLD)
    place.apply()
    for document in list(place.events.find()):
        made = {"$set": {"made": document["timestamp"]}}
        place.events.update_one({"_id": document["_id"]}, made)
    text = place.config.read_text().replace(
        'collection = "events"', 'collection = "events"\ntime_field = "made"'
    )
    place.config.write_text(text)
    planned = place.command("ttl", "plan")
    assert planned.exit_code == 1
    assert (
        "index 'lake_ttl' was made on another time field: deletes after 10 days" in planned.output
    )
    place.export(OLD, force=True)
    entries = len(place.entries())
    with place.site() as site:
        (applied,) = apply(
            site, site.settings.dataset, show=lambda plan: None, confirm=lambda plans: None
        )
    assert (applied.state, applied.ok) == ("done", True), applied.why
    limits = {
        index["name"]: index.get("expireAfterSeconds") for index in place.events.list_indexes()
    }
    assert limits == {"_id_": None, "lake_ttl": NEVER_S, "lake_ttl_made": 10 * DAY_S}
    held, *_ = place.entries()[entries:]
    assert held["details"] == {
        "state": "done", "index": "lake_ttl", "old_s": 10 * DAY_S, "new_s": NEVER_S
    }  # fmt: skip
    assert place.apply().ok
    assert place.command("verify", "--json").exit_code == 0


def test_the_index_on_the_field_before_is_held_where_nothing_is_proven(place: Hot) -> None:
    """All days are exported under another definition: the limit on the new field is held, too."""
    place.insert(OLD)
    place.export(OLD)
    place.apply()
    place.events.update_many({}, [{"$set": {"made": "$timestamp"}}])
    text = place.config.read_text().replace(
        'collection = "events"', 'collection = "events"\ntime_field = "made"'
    )
    place.config.write_text(text)
    with place.site() as site:
        (applied,) = apply(
            site, site.settings.dataset, show=lambda plan: None, confirm=lambda plans: None
        )
    assert (applied.plan.decision, applied.ok) == ("held", False)
    limits = {
        index["name"]: index.get("expireAfterSeconds") for index in place.events.list_indexes()
    }
    assert limits["lake_ttl"] == NEVER_S


def test_an_index_on_the_field_before_that_can_not_be_held_is_reported(
    place: Hot, monkeypatch: pytest.MonkeyPatch
) -> None:
    place.insert(OLD)
    place.export(OLD)
    place.events.create_index("made", name="lake_ttl", expireAfterSeconds=30 * DAY_S)
    monkeypatch.setattr(MongoExpiry, "hold", refuses)
    with place.site() as site:
        (applied,) = apply(
            site, site.settings.dataset, show=lambda plan: None, confirm=lambda plans: None
        )
    assert not applied.ok
    assert applied.plan.rule.others[0].startswith("index 'lake_ttl' can't be held: ")


def test_the_index_of_another_lakes_guard_is_left_to_it(place: Hot) -> None:
    elsewhere = f'elsewhere = ["{place.database}.events"]\n'
    place.config.write_text(place.config.read_text().replace("[ttl]\n", f"[ttl]\n{elsewhere}"))
    place.insert(OLD)
    place.export(OLD)
    place.events.create_index("made", name="lake_ttl", expireAfterSeconds=30 * DAY_S)
    applied = place.apply()
    assert not applied.ok
    assert "index 'lake_ttl' of another lake's guard" in applied.plan.rule.others
    limits = {
        index["name"]: index.get("expireAfterSeconds") for index in place.events.list_indexes()
    }
    assert limits["lake_ttl"] == 30 * DAY_S
