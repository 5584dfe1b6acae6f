"""Whether an exported day is still complete, and whether rows may replace it.

Belongs here: the rules by which an export skips, rewrites or refuses a day. Does not: reading
and writing it (export), what a source still keeps (hot).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from lake.base.day import Day
from lake.base.errors import Incomplete, TransientError, UsageError
from lake.config.datasets import Dataset
from lake.config.settings import Settings
from lake.coverage import expected_days
from lake.erased import erased_rows
from lake.hot import has_begun_to_go, hot_days, late_days
from lake.partition.definition import proves_day
from lake.partition.layout import (
    manifest_key,
    table_prefix,
)
from lake.partition.ledger import listed_days, read_ledger
from lake.partition.manifest import Manifest
from lake.retired import is_retired, read_retired
from lake.store import Store
from lake.systems.protocol import Source
from lake.systems.source import Count, is_whole

SHRUNK = "the source counts fewer rows than when the day was exported"


@dataclass(frozen=True)
class Least:
    """The fewest rows that may replace a partition, None if any number may. `reason` is theirs."""

    rows: int | None = None
    reason: str = ""


class Differs(Incomplete):
    """The rows read and the source's count differ: an error only if it stays so."""


def complete_days(
    settings: Settings,
    store: Store,
    dataset: Dataset,
    days: Sequence[Day],
    today: Day | None = None,
) -> dict[Day, Manifest]:
    """Those of the days that an export would skip without a request to the source, as of `today`.

    Not those with a pending manifest: an export settles it. The store gets requests for two
    listings and the days' manifests, whatever their number.
    """
    if getattr(settings.sources, dataset.source) is None or not days:
        return {}
    hot = hot_days(settings, dataset.source, today=today)
    around = min(days), max(days).plus(1)
    ledger = read_ledger(store, dataset.name, *around, settled=True)
    sizes = {stat.key: stat.bytes for stat in store.list(table_prefix(dataset.name))}
    return {
        day: manifest
        for day in days
        if isinstance(manifest := ledger.get(day), Manifest)
        and not (hot.may_grow(day) or hot.is_counted_last(day))
        and sizes.get(manifest.key) == manifest.bytes
        and proves_day(dataset, manifest, hot.today)
    }


def missing_days(
    settings: Settings, store: Store, datasets: Sequence[Dataset], today: Day
) -> list[tuple[Dataset, Day]]:
    """The expected days of each of the datasets that have no manifest and that the source keeps
    whole as of `today`, oldest first. One listing per dataset; raises what the store raises, and
    UsageError where no day is expected yet.
    """
    held = {dataset.name: listed_days(store, dataset.name) for dataset in settings.dataset}
    expected = expected_days(settings, set[Day]().union(*held.values()), today)
    if not expected:
        raise UsageError(
            "no days are named",
            expected="--day D, or --from D --to D; without them [lake] first_day, or a day in the "
            "lake, from which on days are missing",
            remedy="name the days",
        )
    retired = read_retired(store)
    return [
        (dataset, day)
        for day in expected
        for dataset in datasets
        if day not in held[dataset.name]
        and hot_days(settings, dataset.source, today=today).keeps(day)
        and not is_retired(settings, dataset, day, retired, today)
    ]


def to_recount(
    settings: Settings, store: Store, datasets: Sequence[Dataset], today: Day
) -> list[tuple[Dataset, Day]]:
    """The days of each of the datasets that are to be counted again as of `today`, oldest first:
    see late_days and last_counts. Raises what the store raises.
    """
    return [
        (dataset, day)
        for dataset in datasets
        for day in (
            *last_counts(settings, store, dataset, today),
            *late_days(settings, dataset.source, today),
        )
    ]


def last_counts(
    settings: Settings, store: Store, dataset: Dataset, today: Day | None = None
) -> list[Day]:
    """The exported days that the source is about to delete: they are counted once more.

    Not those that are not exported: where the source keeps less than `[hot]` has, they would seem
    to be whole. Raises what the store raises.
    """
    if getattr(settings.sources, dataset.source) is None:
        return []
    days = hot_days(settings, dataset.source, today=today).counted_last()
    return [day for day in days if store.stat(manifest_key(dataset.name, day))]


def is_stale(
    settings: Settings,
    source: Source,
    dataset: Dataset,
    day: Day,
    old: Manifest,
    *,
    allow_shrink: bool,
    recheck: bool,
    today: Day,
) -> bool:
    """Whether the source now counts other rows of a day that, as of `today`, may still grow, or
    that it is about to delete; or the day was exported before it was over.

    A day that shrank is stale only if it may shrink. With `recheck` it raises Incomplete while it
    may still grow.
    """
    if old.is_premature(today):
        return True
    hot = hot_days(settings, dataset.source, today=today, lateness_days=source.lateness_days)
    if not (hot.may_grow(day) or hot.is_counted_last(day)):
        return False
    count = source.count(dataset, day)
    if old.source_count - erased_rows(old.details) <= count.rows < old.source_count:
        return False  # the source may have lost them, too
    if count.rows < old.source_count and (
        count.overwritten or has_begun_to_go(settings, dataset.source, day, today)
    ):
        return False
    if count.rows >= old.source_count or allow_shrink:
        return count.rows != old.source_count
    if recheck and hot.may_grow(day):
        raise Incomplete(
            SHRUNK,
            where=f"{dataset.name} {day}",
            expected=f"at least {old.source_count} rows, as counted {old.created_at}",
            found=f"{count.rows} rows ({count.method})",
            remedy="if rows were deleted on purpose: --allow-shrink",
        )
    return False


def require_whole(source: Source, dataset: Dataset, day: Day, rows: int, count: Count) -> None:
    """Raises Differs where the rows are not all that the source counts."""
    if not is_whole(rows, count.rows, may_count_low=source.may_count_low):
        raise Differs(
            "the rows read are not those that the source counts",
            where=f"{dataset.name} {day}",
            expected=f"{count.rows} rows ({count.method})",
            found=f"{rows} rows",
            remedy="try again; if it stays so, the source is losing or still taking rows",
        )


def require_not_going(
    settings: Settings, dataset: Dataset, day: Day, rows: int, old: Manifest | None, today: Day
) -> None:
    """Raises Incomplete for fewer rows than before of a day that the source has begun to delete
    since `today`: who allows a day to shrink does not mean those.
    """
    if old and rows < old.rows and has_begun_to_go(settings, dataset.source, day, today):
        raise Incomplete(
            "midnight has passed: the source has begun to delete the day while it was read",
            where=f"{dataset.name} {day}",
            expected=f"at least {old.rows} rows, as exported {old.created_at}",
            found=f"{rows} rows",
            remedy="none is needed: the partition is as it was",
        )


def require_no_loss(
    settings: Settings, source: Source, dataset: Dataset, day: Day, rows: int, least: Least
) -> None:
    """Raises Incomplete for fewer rows than before, and for none from a day that is not kept;
    TransientError for none from a day that has streams.
    """
    where = f"{dataset.name} {day}"
    if least.rows is not None and rows < least.rows:
        raise Incomplete(
            "the day has fewer rows than before",
            where=where,
            expected=f"at least {least.rows} rows, {least.reason}",
            found=f"{rows} rows",
            remedy="if rows were deleted on purpose: --allow-shrink",
        )
    if rows:
        return
    if unseen := source.unseen(dataset, day):
        raise TransientError(
            "the day is late: the source lists streams of it, but returns no rows of them yet",
            where=where,
            expected="rows of the listed streams, or no stream",
            found=f"{unseen} {'stream' if unseen == 1 else 'streams'} without rows",
            remedy="export the day again later: Loki returns lines of past days after it has "
            "flushed their chunks (at once by `POST /flush`) and read its index again, once "
            "a minute. If the streams have no lines of this day, --allow-shrink exports it "
            "as empty",
        )
    hot = hot_days(settings, dataset.source)
    if not hot.keeps(day):
        raise Incomplete(
            "no rows from a day that the source no longer keeps whole",
            where=where,
            expected=f"a day of the last {hot.kept_days} days ([hot] {dataset.source})",
            found="0 rows",
            remedy="--from-snapshot reads the day from a snapshot that holds it; raise [hot] "
            f"{dataset.source} if the source keeps more, or --allow-shrink",
        )
