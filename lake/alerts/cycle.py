"""Whether the day's work is done: only then is the heartbeat due.

Belongs here: what a whole day's work is, the daily report's content. Does not: sending either.

By manifests, not by the results of runs.
"""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from datetime import datetime

from lake.alerts.alert import Alert
from lake.base.day import Day
from lake.config.settings import Settings
from lake.partition.ledger import read_manifest
from lake.snapshots.manifest import snapshot_days
from lake.store import Store
from lake.systems.registry import count_problem
from lake.ttl.terms import guarded
from lake.ttl.turn import remembered


@dataclass(frozen=True)
class Cycle:
    """The work of one day: yesterday's exports, the snapshots and the guard of today."""

    today: Day
    rows: int
    bytes: int
    datasets: int
    snapshots: tuple[str, ...]
    guards: int

    def report(self, at: datetime) -> Alert:
        """As a message."""
        yesterday = self.today.plus(-1)
        lines = [
            f"exports: {self.datasets} datasets, {self.rows:,} rows, {self.bytes:,} bytes",
            f"snapshots: {', '.join(self.snapshots) or 'none configured'}",
            f"expiry guard: {self.guards} datasets" if self.guards else "expiry guard: off",
        ]
        return Alert(
            "LakeDailyReport",
            "info",
            f"{yesterday} is exported and verified",
            "\n".join(lines),
            {"day": str(yesterday)},
            started_at=at,
        )


def finished_cycle(
    settings: Settings, store: Store, snapshots: Collection[str], today: Day
) -> Cycle | None:
    """None while something of it is missing: yesterday of each dataset, a snapshot of today of
    each of `snapshots`, a guard run of today where expiry is enabled.

    Raises what the store raises, and BadData.
    """
    rows = size = 0
    if not settings.dataset:
        return None
    for dataset in settings.dataset:
        manifest = read_manifest(store, dataset.name, today.plus(-1))
        if manifest is None or manifest.is_premature(today) or count_problem(manifest):
            return None
        rows, size = rows + manifest.rows, size + manifest.bytes
    if any(today not in snapshot_days(store, system) for system in snapshots):
        return None
    names = [dataset.name for dataset in guarded(settings)]
    records = remembered(store).datasets if names else {}
    if any(not str(records.get(name, {}).get("at", "")).startswith(str(today)) for name in names):
        return None
    taken = tuple(sorted(snapshots))
    return Cycle(today, rows, size, len(settings.dataset), taken, len(names))
