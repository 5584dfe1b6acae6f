"""Deleting: the record before the deed, what came since the plan, and kills at every operation."""

from __future__ import annotations

import hashlib
import importlib
import json
import shutil
from contextlib import suppress
from typing import Any

import pytest
from support.aged_lake import AGES, Aged, Dying, Killed, aged, dead_writer, piece_key, snapshot
from support.command_line import runner
from support.ledger_days import TODAY, ago, export

from lake import audit
from lake.base.errors import Conflict, UsageError
from lake.config.settings import load
from lake.doctor import lag
from lake.holds.changing import add
from lake.kept import RETIRED, read_retired
from lake.partition.layout import manifest_key, rollup_key, table_key
from lake.repair import repair
from lake.retention import make_plan
from lake.retention.records import write_deletion
from lake.retention.verifying import check
from lake.snapshots.journal import write_journal
from lake.snapshots.manifest import snapshot_manifest_key
from lake.status import read_status
from lake.store.directory import DirectoryStore
from lake.ttl import turn as turn_module


@pytest.fixture
def place(tmp_path) -> Aged:
    made = aged(tmp_path)
    snapshot(made.store, "loki", ago(90), [f"{ago(90)} a", f"{ago(90)} b"])
    snapshot(made.store, "loki", ago(80), [f"{ago(90)} b", f"{ago(80)} c"])
    for age in (3, 2, 1):
        snapshot(made.store, "loki", ago(age), [f"{ago(80)} c"])
    return made


def records(place: Aged, prefix: str = "retention/deletions/") -> list[dict[str, Any]]:
    """As anybody reads them."""
    return [json.loads(place.store.read(stat.key)) for stat in place.store.list(prefix)]


def test_what_is_over_goes_and_nothing_else(place):
    before = place.objects()
    hashes = {key: hashlib.sha256(place.store.read(key)).hexdigest() for key in before}
    expected = {piece.key for item in place.plan().items for piece in item.pieces}
    result = place.apply()
    assert result.ok
    gone = before - place.objects()
    assert gone == expected
    assert len(gone) > 60
    assert place.objects() < before
    deletion, ended = sorted(records(place), key=lambda record: "deleted" in record)
    pieces = [piece for item in deletion["items"] for piece in item["pieces"]]
    assert {piece["key"]: piece["sha256"] for piece in pieces if piece["sha256"]} == {
        key: hashes[key] for key in gone
    }
    assert ended["deleted"] == len(deletion["items"])
    intended, done = [entry for entry in audit.entries(place.store) if entry.action == "retention"]
    assert intended.details["objects"] == len(gone)
    assert done.details["intent"] == intended.sequence
    assert check(place.store).problems == ()
    assert place.apply().deleted == ()  # nothing is left to do
    assert len(records(place)) == 2


def test_retired_days_are_neither_missing_nor_proven(place):
    place.apply()
    (status,) = [s for s in read_status(place.settings, place.store, None) if s.dataset == "events"]
    assert {ago(150), ago(300)} <= set(status.retired)
    assert ago(150) not in status.days
    assert status.days[ago(99)].state == "verified"
    assert status.days[ago(98)].state == "missing"  # was never exported, and is kept
    for day in read_retired(place.store).days("events"):
        assert place.store.stat(table_key("events", day)) is None
    # They stay retired where the policy is lengthened or switched off.
    other = place.settings.model_copy(
        update={"retention": place.settings.retention.model_copy(update={"enabled": False})}
    )
    (status,) = [s for s in read_status(other, place.store, None) if s.dataset == "events"]
    assert ago(150) not in status.days
    assert status.days[ago(140)].state == "missing"
    # One that is exported again counts as any other.
    export(place.store, place.settings, "events", [ago(150)])
    (status,) = [s for s in read_status(other, place.store, None) if s.dataset == "events"]
    assert status.days[ago(150)].state == "verified"


def test_the_record_of_retired_days_is_made_again(place):
    place.apply()
    before = place.store.read(RETIRED)
    place.store.delete(RETIRED)
    assert check(place.store).problems
    place.apply()
    assert place.store.read(RETIRED) == before
    assert check(place.store).problems == ()


def test_a_deletion_is_confirmed_once_and_again_under_a_shorter_term(place, tmp_path):
    asked: list[int] = []

    def refuse(plan: Any) -> None:
        asked.append(len(plan.items))
        raise UsageError("no")

    before = place.objects()
    with pytest.raises(UsageError):
        place.apply(confirm=refuse)
    assert (place.objects(), records(place)) == (before, [])
    place.apply()  # confirmed
    export(place.store, place.settings, "events", [ago(120)])
    assert [item.day for item in place.apply(confirm=refuse).deleted] == [ago(120)]
    text = place.config.read_text().replace("tables = 100", "tables = 90")
    place.config.write_text(text)
    shorter = Aged(place.config, load(str(place.config), {}), place.store)
    with pytest.raises(UsageError):
        shorter.apply(confirm=refuse)
    assert len(asked) == 2


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


def test_a_snapshots_journal_goes_before_what_it_names(place, monkeypatch):
    """A run that begins in between would rely on what the journal names, and it would go."""
    piece = piece_key("loki", ago(90), "a")
    journal = f"{piece.partition('T12')[0]}T130000-1/journal.json"  # of a later run of the day
    write_journal(place.store, journal, {}, [], [], ended=True)
    gone: list[str] = []
    delete = DirectoryStore.delete
    monkeypatch.setattr(
        DirectoryStore, "delete", lambda store, key: (gone.append(key), delete(store, key))
    )
    place.apply()
    manifest = snapshot_manifest_key("loki", ago(90))
    assert gone.index(manifest) < gone.index(journal) < gone.index(piece)


def test_a_retired_day_that_was_exported_again_and_stays_is_still_a_retired_one(place, monkeypatch):
    """It has been retired before: its rollup may stand alone again."""
    place.apply()
    export(place.store, place.settings, "events", [ago(150)])

    def then_held(*arguments: Any) -> Any:
        add(place.settings, place.store, ["events"], ago(150), ago(149), "case 17")
        return write_deletion(*arguments)

    module = importlib.import_module("lake.retention.apply")
    monkeypatch.setattr(module, "write_deletion", then_held)
    place.apply()
    assert place.store.stat(table_key("events", ago(150)))
    assert ago(150) in read_retired(place.store).days("events")


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


@pytest.mark.slow
@pytest.mark.parametrize("after", [False, True])
def test_a_run_that_is_killed_anywhere_is_completed_by_the_next(tmp_path, monkeypatch, after):
    policy = """
[retention]
enabled = true
tables = 100
rollups = 200
[retention.snapshots]
daily = 1
"""

    made = aged(tmp_path, policy, [1, 150, 201])
    snapshot(made.store, "loki", ago(90), [f"{ago(90)} a", f"{ago(90)} b"])
    snapshot(made.store, "loki", ago(80), [f"{ago(90)} b", f"{ago(80)} c"])
    snapshot(made.store, "loki", ago(1), [f"{ago(80)} c"])

    def small(name: str) -> Aged:
        copy = tmp_path / name
        shutil.copytree(tmp_path / "lake", copy)
        return Aged(made.config, made.settings, DirectoryStore(copy))

    undisturbed = small("undisturbed")
    undisturbed.apply()
    expected = undisturbed.objects()
    retired = read_retired(undisturbed.store)
    for number in range(1, 1000):
        place = small(str(number))
        dying = Dying(place.store, number, after=after)
        with monkeypatch.context() as patched, suppress(Killed):
            patched.setattr(turn_module, "this_writer", dead_writer)
            patched.setattr("lake.retention.records.this_writer", dead_writer)
            place.apply(dying)
        assert expected <= place.objects()  # nothing else went
        # No manifest is there without its object: what can be read is whole.
        for key in place.objects():
            if key.startswith("manifests/events/"):
                day = key.removeprefix("manifests/events/").removesuffix(".json")
                assert place.store.stat(f"tables/events/day={day}/data.parquet"), number
        result = place.apply(confirm=lambda plan: None)
        assert result.ok, number
        assert place.objects() == expected, number
        assert read_retired(place.store) == retired, number
        records_ = check(place.store)
        assert (records_.problems, audit.check(place.store).problems) == ((), ()), number
        if not dying.died:
            break
    assert number > 100


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


def test_what_is_not_gone_or_has_been_altered_is_found(place):
    place.apply()
    (key,) = [
        stat.key
        for stat in place.store.list("retention/deletions/")
        if not stat.key.endswith(".done.json")
    ]
    text = place.store.read(key)
    place.store.write(key, text.replace(b"tables are kept", b"tables were kept"))
    (problem,) = check(place.store).problems
    assert "not the one in the audit log" in problem
    place.store.write(key, b"?")
    (problem,) = check(place.store).problems
    assert "can't be read" in problem
    place.store.delete(key)
    assert any("manifest is gone" in problem for problem in check(place.store).problems)


def test_a_hold_whose_object_was_deleted_is_found(place):
    hold = add(place.settings, place.store, ["events"], None, None, "case 17")
    assert check(place.store).problems == ()
    place.store.delete(f"holds/{hold.id}.json")
    (problem,) = check(place.store).problems
    assert f"hold {hold.id}: its object is gone" in problem


def test_the_commands(place, monkeypatch, capsys):
    with runner(monkeypatch, capsys) as lake:
        monkeypatch.setenv("LAKE_CONFIG", str(place.config))
        code, out, _ = lake("retention", "plan", "--json")
        plan = json.loads(out)
        assert (code, plan["enabled"], plan["interrupted"]) == (0, True, [])
        assert plan["policy"]["datasets"]["lines"] == {
            "tables": 60, "rollups": 200, "hot": 5, "hot_ttl": None,
        }  # fmt: skip
        days = [item["day"] for item in plan["deletes"] if item["name"] == "requests"]
        assert str(ago(31)) in days
        before = place.objects()
        code, _, err = lake("retention", "apply")
        assert (code, place.objects()) == (2, before)
        assert "add --yes" in err
        code, out, _ = lake("retention", "apply", "--yes")
        assert (code, "deletion manifest" in out) == (0, True)
        assert before - place.objects() == {
            piece["key"] for item in plan["deletes"] for piece in item["pieces"]
        }
        code, out, _ = lake("status", "--no-sources", "--json")
        retired = {row["dataset"]: row["retired"] for row in json.loads(out)["datasets"]}
        assert retired["events"]["last"] == str(ago(101))
        code, out, err = lake("verify", "--json")
        assert json.loads(out)["retention"]["problems"] == []
        text = place.config.read_text().replace("enabled = true", "enabled = false")
        place.config.write_text(text)
        assert lake("retention", "apply", "--yes")[0] == 2
        assert "not enabled" in lake("retention", "plan")[1]


def test_the_doctor_misses_no_retired_day(place):
    place.apply()
    missing = {
        name: {ago(n) for n in range(1, kept + 1)} - {ago(age) for age in AGES}
        for name, kept in (("events", 100), ("requests", 30), ("lines", 60))
    }
    for found in lag.check(place.settings, place.store):
        name = found.subject.removeprefix("dataset ")
        assert found.found.startswith(f"{len(missing[name])} days are not exported"), found
        assert str(min(missing[name])) in found.found
