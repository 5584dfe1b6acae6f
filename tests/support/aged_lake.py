"""A lake with days of every age: partitions, rollups, snapshots that share objects, reports.

Belongs here: making it, a store that is killed at an operation. Does not: claims.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from lake.base.day import Day
from lake.config.settings import Settings
from lake.partition.layout import rollup_key, rollup_manifest_key
from lake.process.running import here
from lake.retention import RetentionPlan, RetentionResult, apply, make_plan
from lake.snapshots.manifest import SnapshotManifest, StoredObject, snapshot_manifest_key
from lake.store import Store
from support.ledger_days import TODAY, ago, export, lake

POLICY = """
[retention]
enabled = true
tables = 100
rollups = 200
reports = 50
[retention.snapshots]
daily = 3
monthly = 2
[retention.system.loki]
tables = "60d"
[retention.dataset.requests]
tables = 30
rollups = 30
"""
AGES = [1, 29, 30, 31, 32, 59, 60, 61, 62, 99, 100, 101, 102, 150, 199, 200, 201, 202, 300]
NOW = datetime.combine(TODAY.date, datetime.min.time(), UTC).replace(hour=6)


@dataclass(frozen=True)
class Aged:
    """The lake; `policy` is what lake.toml has."""

    config: Path
    settings: Settings
    store: Store

    def objects(self) -> set[str]:
        """Of everything but records, which differ from run to run."""
        apart = ("audit/", "guard/", "retention/", "holds/")
        return {stat.key for stat in self.store.list("") if not stat.key.startswith(apart)}

    def plan(self) -> RetentionPlan:
        return make_plan(self.settings, self.store, TODAY)

    def apply(
        self,
        store: Store | None = None,
        confirm: Callable[[RetentionPlan], None] = lambda plan: None,
    ) -> RetentionResult:
        return apply(
            self.settings,
            store or self.store,
            show=lambda plan: None,
            confirm=confirm,
            clock=lambda: NOW,
        )


def aged(folder: Path, policy: str = POLICY, ages: Sequence[int] = AGES) -> Aged:
    config, settings, store = lake(folder, ago(400), policy)
    days = [ago(age) for age in ages]
    for name in ("events", "requests", "lines"):
        export(store, settings, name, days)
        for day in days:
            store.write(rollup_key(name, day), f"rollup of {name} {day}".encode())
            store.write(rollup_manifest_key(name, day), b"{}")
    for age in (1, 20, 49, 50, 51, 52):
        for end in ("json", "html"):
            store.write(f"reports/rehearsal/{ago(age)}.{end}", f"{age} {end}".encode())
    store.write("reports/notes.txt", b"not dated")
    return Aged(config, settings, store)


def piece_key(system: str, day: Day | str, piece: str) -> str:
    """Where a piece of a snapshot's run at noon lies."""
    text = str(day)
    return f"{system}/{text.replace('-', '/')}/{text.replace('-', '')}T120000-1/pieces/{piece}"


def snapshot(store: Store, system: str, day: Day, objects: Sequence[str], **more: Any) -> None:
    """One whose objects are of the given names below runs' folders: `2026-07-05 a`."""
    stored = []
    for name in objects:
        of_day, _, piece = name.partition(" ")
        key = piece_key(system, of_day, piece)
        data = key.encode()
        if store.stat(key) is None:
            store.write(key, data)
        stored.append(StoredObject(key, len(data), ""))
    fields: dict[str, Any] = {
        "system": system, "day": str(day), "created_at": f"{day}T12:00:00+00:00", "version": "0",
        "server": {}, "window": {"start": None, "end": None}, "counts": {}, "objects": stored,
        "files": [], "restore": "", "whole_days": [str(day.plus(-1))],
    }  # fmt: skip
    manifest = SnapshotManifest(**(fields | more))
    store.write(snapshot_manifest_key(system, day), manifest.to_bytes())


def sharing_snapshots(store: Store, recent: Sequence[int]) -> None:
    """Of Loki, 90 and 80 days ago and at the recent ages: each shares an object with the last."""
    snapshot(store, "loki", ago(90), [f"{ago(90)} a", f"{ago(90)} b"])
    snapshot(store, "loki", ago(80), [f"{ago(90)} b", f"{ago(80)} c"])
    for age in recent:
        snapshot(store, "loki", ago(age), [f"{ago(80)} c"])


class Killed(BaseException):
    """The process is gone."""


class Dying:
    """A store that dies at its operation number `at`, before or after it is done."""

    def __init__(self, store: Store, at: int, *, after: bool) -> None:
        self._store = store
        self._left = at
        self._after = after
        self._dead = False

    def __getattr__(self, name: str) -> Any:
        method = getattr(self._store, name)
        if name == "url" or not callable(method):
            return method

        def operation(*arguments: Any, **options: Any) -> Any:
            if self._dead:
                raise Killed
            self._left -= 1
            self._dead = self._left <= 0
            if self._dead and not self._after:
                raise Killed
            result = method(*arguments, **options)
            if name == "list":
                result = iter(list(result))
            if self._dead and name != "upload":
                raise Killed
            return result

        return operation

    @property
    def died(self) -> bool:
        return self._dead


def dead_writer() -> str:
    """A process of this machine that has ended."""
    return f"{here()} 999999999 1"
