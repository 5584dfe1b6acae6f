"""Rollups of many days from the stored tables alone: `lake rollup`.

Belongs here: which days, several at once, one's failure does not stop the others. Does not:
making one (rollups).
"""

from __future__ import annotations

import time
from collections.abc import Generator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor, as_completed
from dataclasses import dataclass
from typing import Any

from lake.base.day import Day
from lake.base.errors import LakeError, Missing, UsageError
from lake.config.datasets import Dataset
from lake.config.settings import Settings
from lake.partition.ledger import read_ledger
from lake.partition.manifest import Manifest
from lake.rollup.definition import refuse_unknown_files
from lake.rollup.rollups import Rolled, Rollups
from lake.store import Store


@dataclass(frozen=True)
class RolledDay:
    """What became of the rollup of one day. `seconds` is wall time."""

    dataset: str
    day: Day
    rolled: Rolled
    seconds: float = 0.0

    def to_json(self) -> dict[str, Any]:
        """For `--json`."""
        described = {"dataset": self.dataset, "day": str(self.day), **self.rolled.to_json()}
        return described | {"seconds": round(self.seconds, 3)}


def with_rollups(settings: Settings, names: tuple[str, ...]) -> list[Dataset]:
    """The named datasets, or all that have a rollup.

    Raises UsageError for a named one without a rollup, ConfigError and BadData for a wrong file.
    """
    from lake.rollup.definition import rollup_of  # noqa: PLC0415

    refuse_unknown_files(settings)
    chosen = settings.datasets_named(names)
    having = [dataset for dataset in chosen if rollup_of(settings, dataset) is not None]
    if names and (without := [dataset.name for dataset in chosen if dataset not in having]):
        raise UsageError(
            f"{', '.join(without)}: no rollup is defined",
            expected="a dataset with a rollup",
            remedy=f"define one: {settings.lake.rollups}/{without[0]}.sql (docs/reference.md)",
        )
    return having


def roll_up(
    settings: Settings,
    store: Store,
    datasets: Sequence[Dataset],
    days: Sequence[Day] | None,
    *,
    jobs: int,
    force: bool = False,
) -> Generator[RolledDay, None, None]:
    """Makes the rollups that are missing or stale, with `force` all; yields as they come.

    `days` None: all in the lake. A single day that is not in the lake is a failure.
    """
    rollups = Rollups(settings, store)
    waiting: list[tuple[Dataset, Day, Manifest]] = []
    for dataset in datasets:
        done, to_do = _sorted_out(rollups, store, dataset, days, force=force)
        yield from done
        waiting += [(dataset, day, manifest) for day, manifest in sorted(to_do.items())]

    def roll_up_day(dataset: Dataset, day: Day, manifest: Manifest) -> RolledDay:
        begun = time.monotonic()
        rolled = rollups.mend(dataset, day, manifest, force=force)
        return RolledDay(dataset.name, day, rolled, time.monotonic() - begun)

    with ThreadPoolExecutor(jobs) as pool:
        running: list[Future[RolledDay]] = []
        try:
            running += [pool.submit(roll_up_day, *args) for args in waiting]
            for future in as_completed(running):
                yield future.result()
        finally:
            for future in running:
                future.cancel()


def _sorted_out(
    rollups: Rollups, store: Store, dataset: Dataset, days: Sequence[Day] | None, *, force: bool
) -> tuple[list[RolledDay], dict[Day, Manifest]]:
    """What is known at once, and the partitions whose rollups are to be made."""
    ends = (days[0], days[-1].plus(1)) if days else (None, None)
    ledger = read_ledger(store, dataset.name, *ends)
    to_do = {day: manifest for day, manifest in ledger.items() if isinstance(manifest, Manifest)}
    done = [
        _failed(dataset, day, error)
        for day, error in sorted(ledger.items())
        if not isinstance(error, Manifest)
    ]
    if days and len(days) == 1 and not ledger:
        done.append(_failed(dataset, days[0], _missing(store, dataset, days[0])))
    if not force:
        current = rollups.current(dataset, to_do)
        done += [RolledDay(dataset.name, day, Rolled("current")) for day in sorted(current)]
        to_do = {day: manifest for day, manifest in to_do.items() if day not in current}
    return done, to_do


def _failed(dataset: Dataset, day: Day, error: LakeError) -> RolledDay:
    return RolledDay(dataset.name, day, Rolled("failed", error=error))


def _missing(store: Store, dataset: Dataset, day: Day) -> Missing:
    from lake.partition.layout import manifest_key  # noqa: PLC0415

    return Missing(
        f"{day} is not in the lake",
        where=store.url(manifest_key(dataset.name, day)),
        remedy=f"lake export {dataset.name} --day {day}",
    )
