"""Retired days that are exported again: what each command shows of every state a day can be in.

Belongs here: transitions between states. Does not: what is deleted (test_plan.py), kills
(test_apply.py).
"""

from __future__ import annotations

import json
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from support.fake_source import FakeSource
from support.ledger_days import TODAY, ago, lake

from lake.base.errors import Missing, PermanentError, TransientError
from lake.completeness import missing_days
from lake.config.settings import Settings
from lake.drop import drop, inspect
from lake.export import Exporter
from lake.metrics import families
from lake.partition.layout import manifest_key, rollup_key, rollup_manifest_key, table_key
from lake.repair import find_orphans
from lake.retention import apply
from lake.retention.verifying import check
from lake.retired import RETIRED, read_retired
from lake.status import read_status
from lake.store import Store

DAY = ago(35)
RETENTION = "[retention]\nenabled = true\ntables = 365\nrollups = 3650\n"


@dataclass
class Place:
    """A lake that begins with one day, which MongoDB still keeps."""

    settings: Settings
    store: Store
    source: FakeSource

    def keep(self, tables: int) -> None:
        section = self.settings.retention.model_copy(update={"tables": tables})
        self.settings = self.settings.model_copy(update={"retention": section})

    @property
    def events(self) -> Any:
        return self.settings.dataset_named("events")

    def export(self) -> None:
        with closing(Exporter(self.settings, self.store, {"mongo": self.source})) as ours:
            ours.export(self.events, DAY)

    def retire(self) -> None:
        """By a term that is longer again afterwards, as one that was a mistake."""
        self.keep(34)
        assert apply(self.settings, self.store, show=_nothing, confirm=_nothing).ok
        self.keep(365)

    def drop(self) -> None:
        opened = inspect(self.settings, self.store, lambda name: self.source, self.events, DAY)
        drop(self.store, opened)

    def lose_object(self) -> None:
        self.store.delete(table_key("events", DAY))

    def lose_manifest(self) -> None:
        self.store.delete(manifest_key("events", DAY))

    def lose_all(self) -> None:
        self.lose_manifest()
        self.lose_object()

    @property
    def state(self) -> str:
        (status,) = [
            status
            for status in read_status(self.settings, self.store, None)
            if status.dataset == "events"
        ]
        retired = DAY in status.retired
        assert retired == (DAY not in status.days)
        return "retired" if retired else status.days[DAY].state

    @property
    def counted(self) -> str:
        """The state under which `lake metrics` counts the day."""
        (partitions,) = [
            family
            for family in families(self.settings, self.store)
            if family.name == "monitoring_lake_partitions"
        ]
        counts = {
            labels["state"]: value
            for labels, value in partitions.samples
            if labels["dataset"] == "events"
        }
        counts["missing"] -= DAY.days_until(TODAY) - 1  # the days after it
        states = [state for state, value in counts.items() if value]
        assert sum(counts.values()) == len(states) <= 1
        return str(states[0]) if states else "retired"

    @property
    def is_exported_by_itself(self) -> bool:
        """Whether an export of all missing days has it."""
        days = missing_days(self.settings, self.store, [self.events], TODAY)
        return (self.events, DAY) in days


def _nothing(*_: Any) -> None:
    return None


@pytest.fixture
def place(tmp_path: Path) -> Place:
    _, settings, store = lake(tmp_path, DAY, RETENTION)
    return Place(settings, store, FakeSource({str(DAY): 3}))


PATHS: list[tuple[str, str]] = [
    ("", "missing"),
    ("export", "verified"),
    ("export drop", "missing"),
    ("export lose_object", "damaged"),
    ("export lose_manifest", "missing"),
    ("export lose_all", "missing"),
    ("export lose_object export", "verified"),
    ("export retire", "retired"),
    ("export retire export", "verified"),
    ("export retire export drop", "missing"),
    ("export retire export lose_object", "damaged"),
    ("export retire export lose_manifest", "missing"),
    ("export retire export lose_all", "missing"),
    ("export retire export lose_all export", "verified"),
    ("export retire export retire", "retired"),
    ("export retire export retire export lose_all", "missing"),
    ("export retire export lose_all retire", "missing"),
]


@pytest.mark.parametrize(("path", "state"), PATHS)
def test_the_state_of_a_day(place: Place, path: str, state: str) -> None:
    for step in path.split():
        getattr(place, step)()
    assert (place.state, place.counted) == (state, state)
    assert place.is_exported_by_itself == (state == "missing")
    assert check(place.store).problems == ()


def test_the_record_of_a_killed_export_is_made_by_retention(place: Place, monkeypatch) -> None:
    place.export()
    place.retire()
    with monkeypatch.context() as patched:
        patched.setattr(Exporter, "_not_retired", _nothing)
        place.export()
    assert DAY in read_retired(place.store).days("events")
    apply(place.settings, place.store, show=_nothing, confirm=_nothing)
    place.lose_all()
    assert place.state == "missing"


def test_where_the_record_can_not_be_changed_the_day_is_exported(
    place: Place, monkeypatch, caplog
) -> None:
    place.export()
    place.retire()

    def fails(*_: Any, **__: Any) -> None:
        raise TransientError("no answer")

    monkeypatch.setattr("lake.export.change_retired", fails)
    place.export()
    assert place.state == "verified"
    assert f"events {DAY} is still recorded as retired: no answer" in caplog.text


def test_a_record_of_an_earlier_version(place: Place) -> None:
    place.export()
    place.retire()
    record = json.loads(place.store.read(RETIRED))
    assert record == {"datasets": {"events": [[str(DAY), str(DAY.plus(1))]]}}
    place.export()
    record = json.loads(place.store.read(RETIRED))
    assert record["exported_again"] == record["datasets"]  # what an earlier version reads stays


def test_the_rollup_of_a_day_that_was_retired_once_is_no_orphan(place: Place) -> None:
    """It may be all that is left of the day."""
    place.export()
    for key in (rollup_key("events", DAY), rollup_manifest_key("events", DAY)):
        place.store.write(key, b"{}")
    place.retire()
    place.export()
    place.lose_all()
    assert [orphan for orphan in find_orphans(place.settings, place.store)
            if orphan.kind == "rollup"] == []  # fmt: skip


def test_the_rollup_of_a_retired_day_can_be_dropped(place: Place) -> None:
    """It may have values of a person, and no condition can be applied to it."""
    place.export()
    keys = rollup_key("events", DAY), rollup_manifest_key("events", DAY)
    for key in keys:
        place.store.write(key, b"{}")
    place.retire()
    inspected = inspect(place.settings, place.store, lambda name: place.source, place.events, DAY)
    assert (inspected.rows, inspected.bytes) == (None, 2)
    with pytest.raises(PermanentError, match="its rollup is all that is left"):
        drop(place.store, inspected)
    drop(place.store, inspected, force=True)
    assert [key for key in keys if place.store.stat(key)] == []
    assert place.state == "retired"
    assert check(place.store).problems == ()
    with pytest.raises(Missing):
        place.drop()
