"""What an erasure would rewrite, and what else still holds the days.

Belongs here: matching rows by day, holds, snapshots, what the source may still have. Does not:
writing anything.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass, field, replace
from datetime import UTC
from types import TracebackType
from typing import Any

from lake.base.day import Day
from lake.base.errors import BadData, LakeError, Missing, PermanentError
from lake.base.sizes import counted, size
from lake.config.datasets import Dataset
from lake.config.settings import Settings
from lake.erase.condition import Condition, parse
from lake.erase.rewriting import DOCUMENTS_WITH, RAW, matching
from lake.holds import Hold, Holds
from lake.holds import of as holds_of
from lake.holds.hold import ALL
from lake.hot import hot_days
from lake.partition.layout import (
    MANIFESTS,
    manifest_prefix,
    partition_of_manifest,
    partition_of_table,
    rollup_manifest_prefix,
    rollup_of_manifest,
    rollup_of_object,
    rollup_prefix,
    table_prefix,
)
from lake.partition.ledger import read_ledger, read_manifest_in_place
from lake.partition.manifest import Manifest
from lake.query import Lake
from lake.query.failures import Hint
from lake.query.merged import REST
from lake.query.notes import left_out, nested_as_text
from lake.query.question import Question, Range, Reads
from lake.query.tables import Table
from lake.retention.rules import kept_until
from lake.retired import read_retired
from lake.snapshot import unneeded, unneeded_uploads
from lake.snapshots.journal import JOURNAL
from lake.snapshots.manifest import SnapshotManifest, read_snapshot, snapshot_days
from lake.store import Store, Unfinished
from lake.systems.registry import system

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
class SnapshotPlan:
    """A snapshot that still holds some of the days. `until`: when the keep rules give it up, None
    where they never do; `why` is that reason, or names the hold. `days` are those that it holds
    whole.
    """

    system: str
    day: str
    days: tuple[str, ...]
    until: str | None
    why: str

    def to_json(self) -> dict[str, Any]:
        """For `--json`."""
        return {**asdict(self), "days": list(self.days)}


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
            if not _within(day, start, end):
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
        return ErasurePlan(
            name,
            self.condition.columns,
            len(manifests),
            tuple(days),
            dict(sorted(problems.items())),
            tuple(self._snapshots(affected, held, today)) if affected else (),
            tuple(day for day in affected if hot.days_left(day) >= 0),
            self._versions() if affected else "",
            tuple(sorted(rolled & {day for day in retired if _within(day, start, end)})),
            tuple(self._left_out(start, end)),
            tuple(self._elsewhere(start, end)),
            tuple(nested_as_text(self._table, *self._reading(start, end))),
            tuple(self._encoded(manifests)),
            (*self._uploads(start, end), *(self._unused() if affected else ())),
        )

    def _elsewhere(self, start: Day | None, end: Day | None) -> Iterator[str]:
        """As sentences: datasets of the same collection, selector or query, and those that
        lake.toml no longer has, after a rename, say: their tables stay as they are.
        """
        days: dict[str, list[Day]] = {}
        for stat in self.store.list(MANIFESTS):
            known = partition_of_manifest(stat.key)
            if known and known[0] != self.dataset.name and _within(known[1], start, end):
                days.setdefault(known[0], []).append(known[1])
        configured = {dataset.name: dataset for dataset in self.settings.dataset}
        for name, of_name in sorted(days.items()):
            if other := configured.get(name):
                if self.dataset.shares_rows(other.model_dump()):
                    yield f"dataset {name}, of the same {other.read_by}: erase there, too"
                continue
            manifest = read_manifest_in_place(self.store, name, max(of_name))
            if not manifest or self.dataset.shares_rows(manifest.definition) is not False:
                yield (
                    f"dataset {name}, perhaps, which lake.toml does not have: add it again as it "
                    "was, then erase there, too"
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
                if _within(day, start, end) and manifest.details.get("left_out")
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
            if known and known[1] not in self._ledger and _within(known[1], start, end):
                yield str(known[1]), "an object without a manifest; `lake status --repair` fixes it"

    def _uploads(self, start: Day | None, end: Day | None) -> Iterator[str]:
        """As sentences: what runs have sent of a day and not finished, such as killed exports."""
        name = self.dataset.name
        for prefix in (table_prefix(name), rollup_prefix(name)):
            try:
                uploads = self.store.unfinished(prefix)
            except PermanentError as error:
                yield _unlisted(prefix, error)
                continue
            for upload in uploads:
                known = partition_of_table(upload.key) or rollup_of_object(upload.key)
                if upload.alive or not known or known[0] != name:
                    continue
                if _within(known[1], start, end):
                    begun = f"{upload.begun.astimezone(UTC):%Y-%m-%d %H:%M} UTC"
                    yield (
                        f"an unfinished upload of {known[1]}, perhaps, begun {begun}; `lake status "
                        "--repair` removes that of a killed run, on S3 an hour after it began"
                    )

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

    def _unused(self) -> Iterator[str]:
        name = self.dataset.source
        if not system(name).has_snapshots:
            return
        try:
            objects = unneeded(self.store, name)
        except (BadData, Missing):  # the plan lists that snapshot
            return
        uploads: list[Unfinished] = []
        try:
            uploads = unneeded_uploads(self.store, name)
        except PermanentError as error:
            yield _unlisted(f"{name}/", error)
        objects = [stat for stat in objects if not stat.key.endswith(f"/{JOURNAL}")]
        uploads = [upload for upload in uploads if not upload.key.endswith(f"/{JOURNAL}")]
        parts = [
            f"{counted(len(objects), 'object')} ({size(sum(stat.bytes for stat in objects))})"
            if objects
            else "",
            counted(len(uploads), "unfinished upload") if uploads else "",
        ]
        if any(parts):
            yield (
                f"{' and '.join(filter(None, parts))} below {name}/ that no snapshot needs, from "
                "killed or replaced ones; `lake snapshots clean` removes what is older than a day"
            )

    def _snapshots(self, days: Sequence[Day], held: Holds, today: Day) -> Iterator[SnapshotPlan]:
        name = self.dataset.source
        if not system(name).has_snapshots:
            return
        taken = snapshot_days(self.store, name)
        for day in taken:
            try:
                snapshot = read_snapshot(self.store, name, day)
            except (BadData, Missing) as error:
                why = f"its days are unknown: {error.what}"
                yield SnapshotPlan(name, str(day), (), None, why)
                continue
            whole = set(snapshot.held_days())
            if not any(_has(snapshot, of_data) for of_data in days):
                continue
            until, why = self._kept(snapshot, taken, held, today)
            inside = tuple(str(of_data) for of_data in days if of_data in whole)
            yield SnapshotPlan(name, str(day), inside, until, why)

    def _kept(
        self, snapshot: SnapshotManifest, taken: Sequence[Day], held: Holds, today: Day
    ) -> tuple[str | None, str]:
        if hold := held.blocking_snapshot(snapshot):
            return None, str(hold)
        retention = self.settings.retention
        rules = retention.rules(snapshot.system)
        if not rules.any:
            return None, "no keep rules: kept until `lake snapshots remove`"
        if not retention.enabled:
            return None, "[retention] is not enabled: kept until `lake snapshots remove`"
        until = kept_until(rules, taken, Day.parse(snapshot.day), today)
        if until is None:
            return None, "the keep rules never give it up"
        return str(until), "by the keep rules, with a snapshot every day"

    def _versions(self) -> str:
        if not self.settings.lake.root.startswith("s3://"):
            return ""
        bucket = self.settings.bucket
        text = (
            f"earlier versions of the objects stay {bucket.noncurrent_days} days where the bucket "
            "has versioning and the lake's lifecycle ([bucket] noncurrent_days)"
        )
        if system(self.dataset.source).has_snapshots:
            days = bucket.snapshots_noncurrent_days
            kept = f"{days} days after it was removed" if days else "for ever, also once removed"
            text += f"; those of a snapshot {kept} (snapshots_noncurrent_days)"
        if bucket.lock_days:
            text += f", and at least {bucket.lock_days} days under Object Lock (lock_days)"
        return text


def _within(day: Day, start: Day | None, end: Day | None) -> bool:
    return (start is None or day >= start) and (end is None or day < end)


def _unlisted(prefix: str, error: LakeError) -> str:
    """Not every server lists them, and not every role may."""
    return f"unfinished uploads below {prefix}, perhaps, which are not listed: {error.what}"


def _numbers_left_out(manifest: Manifest) -> bool:
    return bool(manifest.details.get("left_out") or manifest.details.get("left_out_others"))


def _day_plan(manifest: Manifest, matched: int, held: Holds, *, rolled: bool) -> DayPlan:
    day = Day.parse(manifest.day)
    hold = held.blocking(manifest.dataset, day)
    return DayPlan(
        day, manifest.rows, matched, manifest.bytes, manifest.sha256, rolled,
        str(hold) if hold else "",
    )  # fmt: skip


def _has(snapshot: SnapshotManifest, day: Day) -> bool:
    """Whether the snapshot has anything of the day, whole or not: by the rule of holds."""
    of_day = Hold("", (ALL,), (ALL,), day, day.plus(1), "", "", "")
    return Holds((of_day,), {}).blocking_snapshot(snapshot) is not None
