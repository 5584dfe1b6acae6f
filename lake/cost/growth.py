"""How many rows and bytes are added per day.

Belongs here: means over the last days. Does not: the future (forecast).
"""

from __future__ import annotations

from dataclasses import asdict, dataclass
from datetime import date, timedelta
from typing import Any, NamedTuple

from lake.base.day import Day
from lake.config.datasets import Dataset
from lake.config.settings import Settings
from lake.cost.usage import Amount, Follows, Kind, Usage
from lake.partition.ledger import read_ledger
from lake.partition.manifest import Manifest
from lake.store import Store

WINDOWS = (30, 90)  # days


@dataclass(frozen=True)
class DatasetGrowth:
    """A dataset's tables by their manifests: the mean of the exported days among the last 30 and
    90 closed ones; None where there is none.
    """

    dataset: str
    source: str
    days_30: int
    bytes_per_day_30: float | None
    rows_per_day_30: float | None
    days_90: int
    bytes_per_day_90: float | None
    rows_per_day_90: float | None

    def to_json(self) -> dict[str, Any]:
        """For `--json`."""
        return asdict(self)


class Stream(NamedTuple):
    """Something whose growth is counted on its own."""

    system: str
    dataset: str
    kind: Kind
    follows: Follows


def growth_of(settings: Settings, store: Store, today: Day) -> list[DatasetGrowth]:
    """The growth of each configured dataset. Raises what the store raises."""
    return [_growth(store, dataset, today) for dataset in settings.dataset]


def _growth(store: Store, dataset: Dataset, today: Day) -> DatasetGrowth:
    ledger = read_ledger(store, dataset.name, today.plus(-max(WINDOWS)), today)
    means: list[Any] = []
    for days in WINDOWS:
        start = today.plus(-days)
        means += _means(
            [
                manifest
                for day, manifest in ledger.items()
                if day >= start and isinstance(manifest, Manifest)
            ]
        )
    return DatasetGrowth(dataset.name, dataset.source, *means)


def _means(manifests: list[Manifest]) -> tuple[int, float | None, float | None]:
    number = len(manifests)
    if not number:
        return 0, None, None
    size = sum(manifest.bytes for manifest in manifests)
    return number, size / number, sum(manifest.rows for manifest in manifests) / number


def daily(usage: Usage, today: date, window: int = WINDOWS[0]) -> dict[Stream, Amount]:
    """What each stream adds per day, by the current versions of the last closed days.

    Of a dataset: the mean of its exported days, for every day is exported once. Of what is not of
    one dataset: the sum over the days since the first of them, for a snapshot may be weekly.
    """
    start = today - timedelta(days=window)
    sums: dict[Stream, Amount] = {}
    days: dict[Stream, set[date]] = {}
    for cell, amount in usage.cells.items():
        if cell.current and start <= cell.day < today:
            stream = Stream(cell.system, cell.dataset, cell.kind, cell.follows)
            sums.setdefault(stream, Amount()).plus(amount)
            days.setdefault(stream, set()).add(cell.day)
    return {
        stream: _divided(
            amount, len(days[stream]) if stream.dataset else (today - min(days[stream])).days
        )
        for stream, amount in sums.items()
    }


def _divided(amount: Amount, by: int) -> Amount:
    return Amount(
        amount.objects / by, amount.bytes / by, amount.small_objects / by, amount.small_bytes / by
    )
