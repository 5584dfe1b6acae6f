"""Deleting: the record before the deed, kills at every operation, what is found afterwards.

Belongs here: runs that nothing disturbs but a kill, and the commands. Does not: what changes in the
lake meanwhile (test_beside_a_run.py).
"""

from __future__ import annotations

import hashlib
import json
import re
import shutil
from contextlib import suppress
from typing import Any

import pytest
from support.aged_lake import (
    AGES,
    Aged,
    Dying,
    Killed,
    aged,
    dead_writer,
    piece_key,
    sharing_snapshots,
    snapshot,
)
from support.command_line import runner
from support.ledger_days import ago, export

from lake import audit
from lake.base.errors import UsageError
from lake.config.settings import load
from lake.doctor import lag
from lake.holds.changing import add
from lake.partition.layout import table_key
from lake.retention.verifying import check
from lake.retired import RETIRED, read_retired
from lake.snapshots.journal import write_journal
from lake.snapshots.manifest import snapshot_manifest_key
from lake.status import read_status
from lake.store.directory import DirectoryStore
from lake.ttl import turn as turn_module


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
    to_confirm: list[int] = []

    def refuse(plan: Any) -> None:
        to_confirm.append(len(plan.items))
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
    assert len(to_confirm) == 2


@pytest.mark.parametrize(
    ("written", "typo", "later"),
    [
        ("tables = 100", "tables = 95", "tables = 97"),
        ("tables = 100", "tables = 95", "tables = 95"),
        ('tables = "60d"', 'tables = "40d"', 'tables = "45d"'),
        ("daily = 3\nmonthly = 2", "daily = 2\nmonthly = 2", "daily = 2\nmonthly = 2"),
    ],
)
@pytest.mark.parametrize("restored", ["as before", "forever"])
def test_a_short_term_that_was_restored_since_is_confirmed_no_more(
    place, written, typo, later, restored
):
    """Between both a run under the longer one: what it keeps is what was wanted last."""
    text = place.config.read_text()
    assert text.count(written) == 1

    def under(policy: str) -> Aged:
        forever = "forever" in policy  # then the rollups', too
        changed = text.replace("rollups = 200\n", "") if forever else text
        place.config.write_text(changed.replace(written, policy))
        return Aged(place.config, load(str(place.config), {}), place.store)

    def refuse(plan: Any) -> None:
        raise UsageError("no")

    for age in (3, 2, 1):
        snapshot(place.store, "loki", ago(age), [], whole_days=[])
    place.apply()
    under(typo).apply()  # somebody confirmed it
    longer = re.sub("tables = .*", 'tables = "forever"', written)
    under(written if restored == "as before" else longer).apply(confirm=refuse)
    for name in ("events", "lines"):
        export(place.store, place.settings, name, [ago(age) for age in (50, 98)])
    snapshot(place.store, "loki", ago(4), [], whole_days=[])
    before = place.objects()
    with pytest.raises(UsageError):
        under(later).apply(confirm=refuse)
    assert place.objects() == before


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
    sharing_snapshots(made.store, recent=[1])

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
        compared = check(place.store)
        assert (compared.problems, audit.check(place.store).problems) == ((), ()), number
        if not dying.died:
            break
    assert number > 100


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
    for lagging in lag.check(place.settings, place.store):
        name = lagging.subject.removeprefix("dataset ")
        assert lagging.found.startswith(f"{len(missing[name])} days are not exported"), lagging
        assert str(min(missing[name])) in lagging.found
