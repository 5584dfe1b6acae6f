"""What an erasure would rewrite.

Belongs here: matching rows by day, holds, rows that the condition passes over. Does not: where
else the rows are (copies), writing anything.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass, field, replace
from types import TracebackType
from typing import Any

from lake.base.day import Day
from lake.base.errors import LakeError, Missing
from lake.base.sizes import counted
from lake.config.datasets import Dataset
from lake.config.settings import Settings
from lake.erase.condition import Condition, parse
from lake.erase.copies import Copies, SnapshotPlan, within
from lake.erase.rewriting import DOCUMENTS_WITH, RAW, matching
from lake.holds import Holds
from lake.holds import of as holds_of
from lake.hot import hot_days
from lake.partition.layout import (
    manifest_prefix,
    partition_of_table,
    rollup_manifest_prefix,
    rollup_of_manifest,
    table_prefix,
)
from lake.partition.ledger import read_ledger
from lake.partition.manifest import Manifest
from lake.query import Lake
from lake.query.failures import Hint
from lake.query.merged import REST
from lake.query.notes import left_out, nested_as_text
from lake.query.question import Question, Range, Reads
from lake.query.tables import Table
from lake.retired import read_retired
from lake.store import Store

_PARALLEL = 4


@dataclass(frozen=True)
class DayPlan:
    """A day with rows that match. `hold` is what forbids its erasure, "" without one. `rollup`:
    whether it has one, which is made again.
    """

    day: Day
    rows: int
    matched: int
    bytes: int
    sha256: str
    rollup: bool = False
    hold: str = ""

    def to_json(self) -> dict[str, Any]:
        """For `--json`."""
        return {**asdict(self), "day": str(self.day), "hold": self.hold or None}


@dataclass(frozen=True)
class ErasurePlan:
    """`days` are those with rows that match; `searched` is how many were looked at.

    `problems` are days that could not be searched, with the reason. `snapshots` still hold the
    rows. `at_source` are days that the source still keeps: it may have the rows, too. `versions`
    is what becomes of the bytes that are replaced. `rollups_alone` are days whose table is gone
    and whose rollup is kept: no condition can be applied to them. `left_out` are sentences about
    values that the condition's columns leave out: rows with these do not match. Of a condition on
    `_rest` they are about documents that have values in `_raw` alone. `elsewhere` are other
    datasets with days in the lake that have the same rows, or may have: an erasure is of one.
    `as_text` are sentences about columns of the condition in which arrays and sub-documents are
    text, which `=` does not search; `encoded` about binary values in `_rest`, which their own text
    does not find. `unused` are sentences about what killed exports and snapshots left in the store,
    which may have the rows.
    """

    dataset: str
    columns: tuple[str, ...]
    searched: int
    days: tuple[DayPlan, ...]
    problems: dict[str, str] = field(default_factory=dict)
    snapshots: tuple[SnapshotPlan, ...] = ()
    at_source: tuple[Day, ...] = ()
    versions: str = ""
    rollups_alone: tuple[Day, ...] = ()
    left_out: tuple[str, ...] = ()
    elsewhere: tuple[str, ...] = ()
    as_text: tuple[str, ...] = ()
    encoded: tuple[str, ...] = ()
    unused: tuple[str, ...] = ()

    @property
    def matched(self) -> int:
        """Rows that are erased."""
        return sum(day.matched for day in self.days)

    @property
    def held(self) -> tuple[DayPlan, ...]:
        """The days that a hold covers: with any of them nothing is erased."""
        return tuple(day for day in self.days if day.hold)

    def to_json(self) -> dict[str, Any]:
        """For `--json`; without the condition."""
        return {
            "dataset": self.dataset,
            "columns": list(self.columns),
            "searched": self.searched,
            "matched": self.matched,
            "days": [day.to_json() for day in self.days],
            "problems": self.problems,
            "snapshots": [snapshot.to_json() for snapshot in self.snapshots],
            "at_source": [str(day) for day in self.at_source],
            "versions": self.versions,
            "rollups_alone": [str(day) for day in self.rollups_alone],
            "left_out": list(self.left_out),
            "elsewhere": list(self.elsewhere),
            "as_text": list(self.as_text),
            "encoded": list(self.encoded),
            "unused": list(self.unused),
        }


class Planner:
    """A condition on one dataset. It keeps a connection to DuckDB, which `close` ends."""

    def __init__(self, settings: Settings, store: Store, dataset: Dataset, where: str) -> None:
        """Raises UsageError where `where` is no condition on this dataset, Missing where the
        dataset has no day in the lake.
        """
        self.settings, self.store, self.dataset = settings, store, dataset
        self._lake = Lake(settings)
        self.connection = self._lake.connection
        try:
            self._ledger = read_ledger(store, dataset.name)
            read = {day: m for day, m in self._ledger.items() if isinstance(m, Manifest)}
            if not read:
                raise self._nothing()
            self._table = Table(dataset.name, read, store.url)
            hint = Hint(f"the table is {dataset.name}")
            self.condition: Condition = parse(self.connection, self._table, where, hint)
        except BaseException:
            self.close()
            raise

    def _nothing(self) -> Missing:
        name, where = self.dataset.name, self.store.url(manifest_prefix(self.dataset.name))
        if rolled := self._rolled():
            return Missing(
                f"{name} has only rollups in the lake: no condition applies to them",
                where=where,
                found=f"{counted(len(rolled), 'rollup')}, {min(rolled)} … {max(rolled)}",
                remedy=f"`lake drop {name} --day D --force` removes one",
            )
        return Missing(
            f"{name} has no day in the lake",
            where=where,
            remedy="`lake status` lists what is exported",
        )

    def _rolled(self) -> set[Day]:
        """The days that have a rollup."""
        return {
            known[1]
            for stat in self.store.list(rollup_manifest_prefix(self.dataset.name))
            if (known := rollup_of_manifest(stat.key))
        }

    def close(self) -> None:
        """Ends the connection."""
        self._lake.close()

    def __enter__(self) -> Planner:
        return self

    def __exit__(
        self, _: type[BaseException] | None, __: BaseException | None, ___: TracebackType | None
    ) -> None:
        self.close()

    def table_with(self, manifest: Manifest) -> Table:
        """The table as it was when the condition was bound, with the day as it is now."""
        day = Day.parse(manifest.day)
        if self._table.manifests.get(day) == manifest:
            return self._table
        return replace(self._table, manifests={**self._table.manifests, day: manifest})

    def plan(self, start: Day | None = None, end: Day | None = None) -> ErasurePlan:
        """Of the days in [start, end). Raises what the store raises."""
        name, store, today = self.dataset.name, self.store, Day.today()
        held, problems = holds_of(store, self.settings), dict(self._orphans(start, end))
        manifests: list[Manifest] = []
        for day, entry in sorted(self._ledger.items()):
            if not within(day, start, end):
                continue
            if isinstance(entry, Manifest):
                manifests.append(entry)
            else:
                problems[str(day)] = entry.what
        rolled = self._rolled()
        days: list[DayPlan] = []
        with ThreadPoolExecutor(_PARALLEL) as pool:
            for manifest, matched in zip(
                manifests, pool.map(self._matched, manifests), strict=True
            ):
                day = Day.parse(manifest.day)
                if isinstance(matched, str):
                    problems[manifest.day] = matched
                elif matched:
                    days.append(_day_plan(manifest, matched, held, rolled=day in rolled))
        affected = [plan.day for plan in days]
        hot = hot_days(self.settings, self.dataset.source, today=today)
        retired = read_retired(store).days(name)
        copies = Copies(self.settings, store, self.dataset)
        return ErasurePlan(
            name,
            self.condition.columns,
            len(manifests),
            tuple(days),
            dict(sorted(problems.items())),
            tuple(copies.snapshots(affected, held, today)) if affected else (),
            tuple(day for day in affected if hot.days_left(day) >= 0),
            copies.versions() if affected else "",
            tuple(sorted(rolled & {day for day in retired if within(day, start, end)})),
            tuple(self._left_out(start, end)),
            tuple(copies.elsewhere(start, end)),
            tuple(nested_as_text(self._table, *self._reading(start, end))),
            tuple(self._encoded(manifests)),
            (*copies.unfinished(start, end), *(copies.unused() if affected else ())),
        )

    def _reading(self, start: Day | None, end: Day | None) -> tuple[Reads, Question]:
        """What the condition reads, as a query of these days."""
        return Reads([Range(start, end)]), Question(columns=set(self.condition.paths))

    def _left_out(self, start: Day | None, end: Day | None) -> Iterator[str]:
        """Of a condition on `_rest` only documents with values that Extended JSON can't express:
        these are in `_raw` alone. Nothing of one on both.
        """
        if (REST,) not in self.condition.paths:
            yield from left_out(self._table, *self._reading(start, end))
        elif (RAW,) not in self.condition.paths:
            of_days = [
                documents
                for day, manifest in self._table.manifests.items()
                if within(day, start, end) and manifest.details.get("left_out")
                and (documents := manifest.details.get(DOCUMENTS_WITH[RAW], 0))
            ]  # fmt: skip
            if of_days:
                yield (
                    f"{self.dataset.name}: {counted(sum(of_days), 'document')} on "
                    f"{counted(len(of_days), 'day')} may have values in _raw alone"
                )

    def _matched(self, manifest: Manifest, condition: Condition | None = None) -> int | str:
        """The rows that match, or why they can't be counted: another day's may be."""
        day = Day.parse(manifest.day)
        table, condition = self.table_with(manifest), condition or self.condition
        try:
            return matching(self.connection, table, day, table.url(manifest.key), condition)
        except LakeError as error:
            found = error.parts.get("found", "")
            return f"{error.what}: {found}" if found else error.what

    def _orphans(self, start: Day | None, end: Day | None) -> Iterator[tuple[str, str]]:
        """Objects that no manifest names: no query reads them, and they may have the rows."""
        for stat in self.store.list(table_prefix(self.dataset.name)):
            known = partition_of_table(stat.key)
            if known and known[1] not in self._ledger and within(known[1], start, end):
                yield str(known[1]), "an object without a manifest; `lake status --repair` fixes it"

    def _encoded(self, manifests: Sequence[Manifest]) -> Iterator[str]:
        """Of a condition on `_rest`: rows that it does not match and whose `_rest` has binary
        values, which are base64 there.
        """
        if (REST,) not in self.condition.paths:
            return
        binary = replace(
            self.condition,
            text=f"contains({REST}, '\"$binary\"') AND {self.condition.sql} IS NOT TRUE",
        )
        days = [m for m in manifests if _numbers_left_out(m)]
        with ThreadPoolExecutor(_PARALLEL) as pool:
            counted_on = pool.map(lambda manifest: self._matched(manifest, binary), days)
            of_days = [rows for rows in counted_on if isinstance(rows, int) and rows]
        if of_days:
            yield (
                f"{self.dataset.name}: {counted(sum(of_days), 'document')} on "
                f"{counted(len(of_days), 'day')} with binary values, such as UUIDs, in {REST}"
            )


def _numbers_left_out(manifest: Manifest) -> bool:
    return bool(manifest.details.get("left_out") or manifest.details.get("left_out_others"))


def _day_plan(manifest: Manifest, matched: int, held: Holds, *, rolled: bool) -> DayPlan:
    day = Day.parse(manifest.day)
    hold = held.blocking(manifest.dataset, day)
    return DayPlan(
        day, manifest.rows, matched, manifest.bytes, manifest.sha256, rolled,
        str(hold) if hold else "",
    )  # fmt: skip
