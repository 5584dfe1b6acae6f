"""Removes a partition from the lake.

Belongs here: which partitions may be removed. Does not: removing one (replacement), asking the
user, retention by age.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import asdict, dataclass
from datetime import timedelta
from typing import Any

from lake import audit
from lake.base.clock import utc_now
from lake.base.day import Day
from lake.base.errors import Conflict, LakeError, Missing, PermanentError
from lake.config.datasets import Dataset
from lake.config.settings import Settings
from lake.holds import held_error
from lake.holds import of as holds_of
from lake.hot import hot_days
from lake.partition.definition import changed_keys
from lake.partition.layout import manifest_key, rollup_key, table_key
from lake.partition.manifest import Manifest
from lake.partition.replacement import Etags, remove, settle_idle
from lake.rollup.storing import remove as remove_rollup
from lake.store import Store
from lake.systems.expiry import NEVER_S
from lake.systems.protocol import Source
from lake.ttl.terms import DAY_S, terms_of
from lake.ttl.turn import remembered

ACTION = "drop"  # in the audit log
_Open = Callable[[str], Source]


@dataclass(frozen=True)
class Dropped:
    """A partition that is gone. `rows` is None where its manifest was unreadable or missing."""

    dataset: str
    day: str
    rows: int | None
    bytes: int

    def to_json(self) -> dict[str, Any]:
        """For `--json`."""
        return asdict(self)


@dataclass(frozen=True)
class InspectedPartition:
    """What the store holds of one partition. `reason`: why only force removes it, or "". `goes_on`:
    the day on which the source begins to delete it; None where there is a reason, or no row.

    `etags` are those that `drop` expects to find.
    """

    dataset: str
    day: Day
    rows: int | None
    bytes: int
    reason: str
    etags: Etags
    sha256: str = ""
    goes_on: Day | None = None


def inspect(
    settings: Settings, store: Store, source_of: _Open, dataset: Dataset, day: Day
) -> InspectedPartition:
    """What would be removed: of a day without a table its rollup, where retention has left one.

    Raises Missing where there is no such partition, Conflict while an export writes it,
    PermanentError where a hold covers it.
    """
    _refuse_held(store, dataset.name, day, settings)
    standing = settle_idle(store, dataset.name, day)
    stat = store.stat(table_key(dataset.name, day))
    if standing.manifest is None and stat is None:
        if alone := store.stat(rollup_key(dataset.name, day)):
            reason = "it has no table: its rollup is all that is left"
            etags = Etags("", standing.etag)
            return InspectedPartition(dataset.name, day, None, alone.bytes, reason, etags)
        raise Missing(
            "no such partition",
            where=store.url(manifest_key(dataset.name, day)),
            expected="a day that `lake status` lists as exported",
            found="neither a manifest nor an object",
        )
    manifest = standing.manifest if isinstance(standing.manifest, Manifest) else None
    rows, sha256 = (manifest.rows, manifest.sha256) if manifest else (None, "")
    reason = _reason(settings, store, source_of, dataset, day, manifest)
    goes_on = day.plus(hot_days(settings, dataset.source).kept_days)
    etags = Etags(stat.etag if stat else "", standing.etag)
    size = stat.bytes if stat else 0
    return InspectedPartition(
        dataset.name,
        day,
        rows,
        size,
        reason,
        etags,
        sha256,
        goes_on if rows and not reason else None,
    )


def _refuse_held(store: Store, dataset: str, day: Day, settings: Settings | None = None) -> None:
    if hold := holds_of(store, settings).blocking(dataset, day):
        raise held_error("the day is held: it may not be removed", f"{dataset} {day}", hold)


def _reason(
    settings: Settings,
    store: Store,
    source_of: _Open,
    dataset: Dataset,
    day: Day,
    manifest: Manifest | None,
) -> str:
    """Why the source can't provide the day again; empty where it can, or nothing is lost."""
    if manifest is None:
        return "the number of rows that it held is unknown"
    rows = manifest.rows
    if not rows:
        return ""
    if changed := changed_keys(dataset, manifest):
        return f"it was exported under another definition ({', '.join(changed)})"
    hot = hot_days(settings, dataset.source)
    if not hot.keeps(day):
        kept = f"the source keeps {hot.kept_days} days ([hot] {dataset.source})"
        return f"{kept}: this may be the only copy"
    if limit := _limit_over(settings, store, dataset, day):
        return f"its rows expire by {limit}, for the lake has them: this may soon be the only copy"
    try:
        counted = source_of(dataset.source).count(dataset, day).rows
    except LakeError as error:
        return f"the source could not be counted ({error.what})"
    return "" if counted >= rows else f"it has {rows} rows, the source counts {counted}"


def _limit_over(settings: Settings, store: Store, dataset: Dataset, day: Day) -> str:
    """The limit that the expiry guard has set where the day may expire by it before a guard has to
    run again; "" where it may not.
    """
    limit_s = remembered(store).datasets.get(dataset.name, {}).get("limit_s")
    if limit_s is None or limit_s >= NEVER_S:
        return ""
    kept = timedelta(seconds=limit_s - terms_of(settings, dataset).margin_s)
    return f"a limit of {limit_s / DAY_S:g} days" if day.start < utc_now() - kept else ""


def drop(store: Store, partition: InspectedPartition, *, force: bool = False) -> Dropped:
    """Removes the partition as it was inspected, its rollup first, and writes that to the audit log
    before.

    Raises PermanentError where a hold covers the day, and where the source does not hold it any
    more, unless `force`; Conflict where the partition was replaced since it was inspected, or where
    the source has begun to delete the day since: an answer may have taken until midnight.
    """
    if partition.goes_on and Day.today() >= partition.goes_on:
        raise Conflict(
            "the source has begun to delete the day since it was inspected",
            where=f"{partition.dataset} {partition.day}",
            expected=f"a removal before {partition.goes_on} 00:00 UTC",
            remedy="run it again: it shows what the source still has",
        )
    if partition.reason and not force:
        raise PermanentError(
            "the partition may not be removed",
            where=f"{partition.dataset} {partition.day}",
            expected="a partition without rows, or one whose source still holds all of them",
            found=partition.reason,
            remedy="--force removes it all the same; its rows can't be exported again",
        )
    _refuse_held(store, partition.dataset, partition.day)
    audit.append(
        store,
        ACTION,
        partition.dataset,
        partition.reason or "the source holds its rows, or it has none",
        details={"day": str(partition.day), "forced": force, **asdict(partition.etags)},
        proof={"rows": partition.rows, "bytes": partition.bytes, "sha256": partition.sha256},
    )
    remove_rollup(store, partition.dataset, partition.day)
    if partition.etags != Etags("", ""):  # else only a rollup was there
        remove(store, partition.dataset, partition.day, partition.etags)
    return Dropped(partition.dataset, str(partition.day), partition.rows, partition.bytes)
