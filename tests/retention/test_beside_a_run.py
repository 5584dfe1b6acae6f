"""What changes in the lake between the plan and the end of a deletion.

Belongs here: holds, exports, snapshots, repairs and verifications beside a run. Does not: runs that
nothing disturbs (test_apply.py).
"""

from __future__ import annotations

import importlib
from typing import Any

import pytest
from support.aged_lake import Dying, Killed, dead_writer, piece_key, snapshot
from support.ledger_days import TODAY, ago, export

from lake import audit
from lake.base.errors import Conflict
from lake.holds.changing import add
from lake.partition.layout import manifest_key, rollup_key, table_key
from lake.repair import repair
from lake.retention import make_plan
from lake.retention.records import write_deletion
from lake.retention.verifying import check
from lake.retired import RETIRED, read_retired
from lake.snapshots.journal import write_journal
from lake.snapshots.manifest import snapshot_manifest_key
from lake.ttl import turn as turn_module


def test_a_hold_that_came_since_the_plan_is_honoured(place):
    def held(plan: Any) -> None:
        add(place.settings, place.store, ["events"], ago(151), ago(149), "case 17")

    result = place.apply(confirm=held)
    assert list(result.kept) == [f"table events {ago(150)}"]
    assert place.store.stat(manifest_key("events", ago(150)))
    assert not place.store.stat(manifest_key("events", ago(199)))


def test_a_partition_that_was_written_again_stays(place):
    def exported(plan: Any) -> None:
        export(place.store, place.settings, "events", [ago(150)])

    result = place.apply(confirm=exported)
    assert "written again" in result.kept[f"table events {ago(150)}"]
    assert place.store.stat(table_key("events", ago(150)))
    assert ago(150) not in read_retired(place.store).days("events")
    assert check(place.store).problems == ()


def test_a_snapshot_that_was_taken_since_keeps_what_it_needs(place):
    def taken(plan: Any) -> None:
        snapshot(place.store, "loki", ago(0), [f"{ago(90)} a"])

    place.apply(confirm=taken)
    assert place.store.stat(piece_key("loki", ago(90), "a"))
    assert not place.store.stat(snapshot_manifest_key("loki", ago(90)))


def test_two_runs_do_not_work_at_once(place):
    def second(plan: Any) -> None:
        with pytest.raises(Conflict, match="at work"):
            place.apply()

    assert place.apply(confirm=second).ok


def test_a_hold_that_came_after_a_killed_run_does_not_call_kept_what_is_gone(place, monkeypatch):
    dying = Dying(place.store, 10**6, after=True)

    def killed_after_a_table(key: str) -> None:
        place.store.delete(key)
        if key == table_key("events", ago(300)):
            raise Killed

    monkeypatch.setattr("lake.retention.records.this_writer", dead_writer)
    monkeypatch.setattr(turn_module, "this_writer", dead_writer)
    monkeypatch.setattr(dying, "delete", killed_after_a_table, raising=False)
    with pytest.raises(Killed):
        place.apply(dying)
    assert place.store.stat(table_key("events", ago(300))) is None
    add(place.settings, place.store, ["events"], None, None, "case 17")
    place.apply()
    assert ago(300) in read_retired(place.store).days("events")
    assert ago(202) not in read_retired(place.store).days("events")  # held, and there
    assert place.store.stat(manifest_key("events", ago(202)))
    assert check(place.store).problems == ()


@pytest.mark.parametrize("lost", [False, True])
def test_repair_keeps_the_rollups_of_days_that_a_run_is_retiring(place, monkeypatch, lost):
    rollups = {rollup_key("events", ago(age)) for age in (101, 102, 150, 199, 200)}
    states: list[str] = []

    def repaired(key: str) -> None:
        place.store.delete(key)
        if key == table_key("events", ago(101)):  # the last of them
            if lost:
                place.store.delete(RETIRED)
            states.extend(orphan.state for orphan in repair(place.settings, place.store))

    dying = Dying(place.store, 10**6, after=True)
    monkeypatch.setattr(dying, "delete", repaired, raising=False)
    place.apply(dying)
    assert rollups <= place.objects()
    assert set(states) == ({"kept"} if lost else set())


def test_a_snapshot_that_begins_while_an_older_one_goes_stops_the_deletion(place, monkeypatch):
    manifest, journal = snapshot_manifest_key("loki", ago(90)), "loki/2026/01/01/run/journal.json"

    def begun(key: str) -> None:
        if key == manifest:
            write_journal(place.store, journal, {}, [], [], ended=False)
        place.store.delete(key)

    dying = Dying(place.store, 10**6, after=True)
    monkeypatch.setattr(dying, "delete", begun, raising=False)
    with pytest.raises(Conflict, match="is being taken"):
        place.apply(dying)
    assert place.store.stat(piece_key("loki", ago(90), "a"))  # it may rely on this one
    place.store.delete(journal)
    assert place.apply().ok
    assert place.store.stat(piece_key("loki", ago(90), "a")) is None


def test_a_retired_day_that_was_exported_again_and_stays_is_not_retired(place, monkeypatch):
    """If it is lost it is missing; that it was deleted once stays recorded: verify compares it."""
    place.apply()
    export(place.store, place.settings, "events", [ago(150)])

    def then_held(*arguments: Any) -> Any:
        add(place.settings, place.store, ["events"], ago(150), ago(149), "case 17")
        return write_deletion(*arguments)

    module = importlib.import_module("lake.retention.apply")
    monkeypatch.setattr(module, "write_deletion", then_held)
    place.apply()
    assert place.store.stat(table_key("events", ago(150)))
    retired = read_retired(place.store)
    assert ago(150) in retired.deleted("events") - retired.days("events")
    assert check(place.store).problems == ()


def test_a_manifest_that_is_written_while_the_plan_is_made_is_left_to_the_next_one(place):
    key = manifest_key("events", ago(150))
    content = place.store.read(key)
    place.store.delete(key)

    class Late(Dying):
        def list(self, prefix: str) -> Any:
            if prefix == "tables/events/":
                place.store.write(key, content)
            return place.store.list(prefix)

    plan = make_plan(place.settings, Late(place.store, 10**6, after=True), TODAY)
    (why,) = [stay.why for stay in plan.stays if (stay.kind, stay.name) == ("table", "events")]
    assert "not finished" in why
    assert (ago(150), "table") not in {(item.day, item.kind) for item in plan.items
                                       if item.name == "events"}  # fmt: skip


def test_a_deletion_that_begins_beside_the_verification_is_no_problem(place, monkeypatch):
    read, begun = audit.entries, iter([True])

    def deleting(store, after=0):
        entries = list(read(store, after))
        if next(begun, False):
            assert place.apply().ok
        return iter(entries)

    monkeypatch.setattr(audit, "entries", deleting)
    compared = check(place.store)
    assert (compared.deletions, compared.problems) == (1, ())
