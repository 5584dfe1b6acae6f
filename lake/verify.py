"""Does the object hold what its manifest claims, and does the source still agree?

Belongs here: reading objects back and comparing. Does not: mending, or the ledger's overview.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any

from lake.base.datasets import Dataset
from lake.base.day import Day
from lake.base.errors import BadData, LakeError, Missing
from lake.base.layout import partition_of_table, table_prefix
from lake.base.manifest import Manifest, read_ledger
from lake.base.scratch import read_back
from lake.base.settings import Settings
from lake.base.store import Store
from lake.sources import Source, count_problem

_PARALLEL = 4


@dataclass(frozen=True)
class Finding:
    """One partition checked. `problems` is empty where all holds.

    `source_count` is None where the source was not asked.
    """

    dataset: str
    day: Day
    rows: int = 0
    bytes: int = 0
    source_count: int | None = None
    problems: tuple[str, ...] = ()

    @property
    def ok(self) -> bool:
        """Whether nothing is wrong."""
        return not self.problems

    def to_json(self) -> dict[str, Any]:
        """For `--json`."""
        return {
            "dataset": self.dataset,
            "day": str(self.day),
            "ok": self.ok,
            "rows": self.rows,
            "bytes": self.bytes,
            "source_count": self.source_count,
            "problems": list(self.problems),
        }


def verify_many(
    settings: Settings,
    store: Store,
    datasets: Sequence[Dataset],
    days: Sequence[Day] | None,
    source_of: Callable[[str], Source] | None,
) -> Iterator[Finding]:
    """Checks the days, by default every day that has a manifest or an object, in their order.

    With `source_of` the days that the source still keeps whole are counted there again.
    A partition that can't be checked is a finding, too. Raises what listing the store raises.
    """

    def check(dataset: Dataset, day: Day, manifest: Manifest | BadData | None) -> Finding:
        kept = day.days_until(Day.today()) < getattr(settings.hot, dataset.source)
        try:
            if isinstance(manifest, BadData):
                raise manifest
            source = source_of(dataset.source) if source_of and kept else None
            return verify_partition(store, dataset, day, manifest, source)
        except LakeError as error:
            return Finding(dataset.name, day, problems=(str(error),))

    with ThreadPoolExecutor(_PARALLEL) as pool:
        for dataset in datasets:
            ledger = read_ledger(store, dataset.name)
            chosen = sorted({*ledger, *_stored_days(store, dataset)}) if days is None else days
            yield from pool.map(
                lambda day, d=dataset, ml=ledger: check(d, day, ml.get(day)), chosen
            )


def _stored_days(store: Store, dataset: Dataset) -> Iterator[Day]:
    for stat in store.list(table_prefix(dataset.name)):
        if partition := partition_of_table(stat.key):
            yield partition[1]


def verify_partition(
    store: Store, dataset: Dataset, day: Day, manifest: Manifest | None, source: Source | None
) -> Finding:
    """Reads the whole object; with a source, counts the day there again.

    Raises what the store and the source raise; a difference is a finding, not an error.
    """
    problems = object_problems(store, manifest)
    if manifest is None:
        return Finding(dataset.name, day, problems=tuple(problems))
    if problem := count_problem(manifest):
        problems.append(problem)
    counted = None
    if source:
        count = source.count(dataset, day)
        counted = count.rows
        # Where the count may be below the rows, it may also lie anywhere between the two.
        if not manifest.source_count <= counted <= manifest.rows:
            problems.append(
                f"the source counts {counted} rows ({count.method}), the lake has {manifest.rows}"
            )
    return Finding(dataset.name, day, manifest.rows, manifest.bytes, counted, tuple(problems))


def object_problems(store: Store, manifest: Manifest | None) -> list[str]:
    """Reads the object back: what of it is not as its manifest claims."""
    if manifest is None:
        return ["no manifest: the day is not exported"]
    try:
        found = read_back(store, manifest.key)
    except Missing:
        return ["the object is gone"]
    if found.bytes != manifest.bytes:
        return [f"the object has {found.bytes} bytes, its manifest says {manifest.bytes}"]
    if found.sha256 != manifest.sha256:
        return ["the object's sha256 is not its manifest's"]
    if found.rows is None:
        return ["the object is no Parquet file"]
    if found.rows != manifest.rows:
        return [f"the object has {found.rows} rows, its manifest says {manifest.rows}"]
    return []
