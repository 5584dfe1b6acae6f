"""What may be deleted, and what is past its retention but stays.

Belongs here: the decision, from the policy, the store's listings and the holds. Does not:
deleting.

A table or snapshot whose manifest is invalid stays and is reported; of a system with such a
snapshot nothing is deleted, for what it needs is unknown.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any, Literal

from lake.base.day import Day
from lake.base.errors import BadData, Conflict, Missing, UsageError
from lake.config.datasets import Dataset
from lake.config.retention import FOREVER, SnapshotRules, shown_days
from lake.config.settings import Settings
from lake.config.systems import packages
from lake.holds import Holds
from lake.holds import of as holds_of
from lake.kept import is_over, terms_of
from lake.partition.layout import (
    manifest_key,
    manifest_prefix,
    partition_of_pending,
    partition_of_table,
    rollup_key,
    rollup_manifest_key,
    rollup_manifest_prefix,
    rollup_of_manifest,
    rollup_of_object,
    rollup_prefix,
    table_key,
    table_prefix,
)
from lake.partition.ledger import read_ledger
from lake.partition.manifest import Manifest
from lake.partition.rollups import RollupManifest, read_rollups
from lake.retention.rules import kept_days
from lake.snapshot import exclusive_objects, require_quiet
from lake.snapshots.holding import missing_objects, spans
from lake.snapshots.manifest import (
    SnapshotManifest,
    read_snapshot,
    snapshot_days,
    snapshot_manifest_key,
)
from lake.status import DatasetStatus, read_status
from lake.store import ObjectStat, Store
from lake.systems.registry import system as system_named

Kind = Literal["rollup", "table", "snapshot", "report"]
_REPORTS = "reports/"
_DATED = re.compile(r"\d{4}-\d\d-\d\d")


def drop_remedy(dataset: str, day: object) -> str:
    """What removes a day whose manifest is invalid."""
    return f"`lake drop {dataset} --day {day} --force` removes it"


@dataclass(frozen=True)
class PlannedObject:
    """One object. `sha256` is "" where no manifest has it."""

    key: str
    bytes: int
    etag: str
    sha256: str = ""


@dataclass(frozen=True)
class Item:
    """What goes together; `pieces` in the order in which they are deleted, the manifest first.

    `name` is a dataset, a system or a folder of reports, `rows` those of a table.
    """

    kind: Kind
    name: str
    day: Day
    reason: str
    pieces: tuple[PlannedObject, ...]
    rows: int | None = None

    @property
    def bytes(self) -> int:
        """The size of all its objects."""
        return sum(piece.bytes for piece in self.pieces)

    def to_json(self) -> dict[str, Any]:
        """As deletion manifests have it."""
        pieces = [piece.__dict__ for piece in self.pieces]
        return {**self.__dict__, "day": str(self.day), "pieces": pieces}


@dataclass(frozen=True)
class Stays:
    """What the policy no longer keeps and what is not deleted all the same. `held`: by a hold;
    `needed`: as the only copy of a day.
    """

    kind: Kind
    name: str
    day: str
    why: str
    held: bool = False
    needed: bool = False

    def to_json(self) -> dict[str, Any]:
        """For `--json`."""
        return dict(self.__dict__)


@dataclass(frozen=True)
class RetentionPlan:
    """`items` in the order in which they are deleted."""

    policy: dict[str, Any]
    items: tuple[Item, ...] = ()
    stays: tuple[Stays, ...] = field(default=())

    @property
    def ok(self) -> bool:
        """Whether nothing but holds, and days that nothing else has, keeps what is over."""
        return all(stay.held or stay.needed for stay in self.stays)

    @property
    def bytes(self) -> int:
        """The size of everything that is deleted."""
        return sum(item.bytes for item in self.items)


def policy_of(settings: Settings) -> dict[str, Any]:
    """The policy as it applies to each dataset and system, in days or `forever`.

    `hot_ttl` is the limit at the source, which `lake ttl` sets; null where that is not enabled.
    """
    from lake.ttl.terms import terms_of as ttl_terms  # noqa: PLC0415

    datasets = {}
    for dataset in settings.dataset:
        terms, ttl = terms_of(settings, dataset), ttl_terms(settings, dataset)
        datasets[dataset.name] = {
            "tables": shown_days(terms.tables),
            "rollups": shown_days(terms.rollups),
            "hot": getattr(settings.hot, dataset.source),
            "hot_ttl": ttl.days if ttl.enabled else None,
        }
    systems = {name: settings.retention.rules(name).model_dump() for name in packages()}
    reports = shown_days(settings.retention.reports)
    return {"datasets": datasets, "snapshots": systems, "reports": reports}


def make_plan(settings: Settings, store: Store, today: Day) -> RetentionPlan:
    """Raises what the store raises, and BadData."""
    return _Planning(settings, store, today, holds_of(store, settings)).plan()


class _Planning:
    def __init__(self, settings: Settings, store: Store, today: Day, holds: Holds) -> None:
        self._settings = settings
        self._store = store
        self._today = today
        self._holds = holds
        self._read: list[DatasetStatus] | None = None

    def plan(self) -> RetentionPlan:
        entries: list[Item | Stays] = []
        for dataset in self._settings.dataset:
            entries += self._rollups(dataset)
            entries += self._tables(dataset)
        for system in packages():
            if (rules := self._settings.retention.rules(system)).any:
                entries += self._snapshots(system, rules)
        entries += self._reports()
        return RetentionPlan(
            policy_of(self._settings),
            tuple(entry for entry in entries if isinstance(entry, Item)),
            tuple(entry for entry in entries if isinstance(entry, Stays)),
        )

    def _stat(self, prefix: str) -> dict[str, ObjectStat]:
        return {stat.key: stat for stat in self._store.list(prefix)}

    def _tables(self, dataset: Dataset) -> Iterator[Item | Stays]:
        keep, name = terms_of(self._settings, dataset).tables, dataset.name
        if keep >= FOREVER:
            return
        stats = self._stat(manifest_prefix(name)) | self._stat(table_prefix(name))
        pending = {known[1] for key in stats if (known := partition_of_pending(key))}
        ledger = read_ledger(self._store, name, end=self._today.plus(-keep))
        for day, manifest in sorted(ledger.items()):
            if not is_over(day, keep, self._today):
                continue
            if hold := self._holds.blocking(name, day):
                yield Stays("table", name, str(day), str(hold), held=True)
            elif day in pending or manifest_key(name, day) not in stats:
                why = "an export of it is not finished; `lake status --repair` completes it"
                yield Stays("table", name, str(day), why)
            elif not isinstance(manifest, Manifest):
                why = f"{manifest.what}; {drop_remedy(name, day)}"
                yield Stays("table", name, str(day), why)
            else:
                pieces = _pieces(
                    stats, (manifest_key(name, day), ""), (table_key(name, day), manifest.sha256)
                )
                reason = f"tables are kept for {keep} days"
                yield Item("table", name, day, reason, pieces, manifest.rows)
        yield from self._without_manifest(dataset, stats, set(ledger), keep)

    def _without_manifest(
        self, dataset: Dataset, stats: dict[str, ObjectStat], exported: set[Day], keep: int
    ) -> Iterator[Stays]:
        for key in sorted(stats):
            known = partition_of_table(key)
            if known and known[1] not in exported and is_over(known[1], keep, self._today):
                why = "an object without a manifest; `lake status --repair` removes it, or keeps it"
                yield Stays("table", dataset.name, str(known[1]), why)

    def _rollups(self, dataset: Dataset) -> Iterator[Item | Stays]:
        keep, name = terms_of(self._settings, dataset).rollups, dataset.name
        if keep >= FOREVER:
            return
        stats = self._stat(rollup_manifest_prefix(name)) | self._stat(rollup_prefix(name))
        days = {
            known[1]
            for key in stats
            if (known := rollup_of_manifest(key) or rollup_of_object(key))
            and is_over(known[1], keep, self._today)
        }
        manifests = read_rollups(self._store, name, days)
        for day in sorted(days):
            if hold := self._holds.blocking(name, day):
                yield Stays("rollup", name, str(day), str(hold), held=True)
                continue
            manifest = manifests.get(day)
            sha256 = manifest.sha256 if isinstance(manifest, RollupManifest) else ""
            pieces = _pieces(
                stats, (rollup_manifest_key(name, day), ""), (rollup_key(name, day), sha256)
            )
            yield Item("rollup", name, day, f"rollups are kept for {keep} days", pieces)

    def _snapshots(self, system: str, rules: SnapshotRules) -> Iterator[Item | Stays]:
        days = snapshot_days(self._store, system)
        snapshots: list[SnapshotManifest] = []
        for day in days:
            try:
                snapshots.append(read_snapshot(self._store, system, day))
            except (BadData, Missing) as error:
                why = f"{error.what}: what it needs is unknown, so no snapshot of {system} goes"
                yield Stays("snapshot", system, str(day), why)
        if len(snapshots) < len(days) or not days:
            return
        kept = kept_days(rules, days)
        kept.setdefault(days[-1], "newest")
        if newest_good := self._newest_good(snapshots):
            kept.setdefault(newest_good, "newest with all objects")
        going: list[Day] = []
        for snapshot in snapshots:
            day = Day.parse(snapshot.day)
            if day in kept:
                continue
            if hold := self._holds.blocking_snapshot(snapshot):
                yield Stays("snapshot", system, snapshot.day, str(hold), held=True)
            else:
                going.append(day)
        for taken, why in self._only_copies(system, snapshots, going).items():
            yield Stays("snapshot", system, str(taken), why, needed=True)
            going.remove(taken)
        if not going:
            return
        try:
            require_quiet(self._store, system)
        except Conflict as error:
            yield Stays("snapshot", system, str(going[0]), error.what)
            return
        yield from self._going(system, going, _shown(rules))

    def _only_copies(
        self, system: str, snapshots: list[SnapshotManifest], going: list[Day]
    ) -> dict[Day, str]:
        """Why a snapshot that would go stays: days are missing or damaged in the lake that it holds
        whole, and no snapshot that is kept. The newest of several that hold them.
        """
        lacking = list(self._lacking(system)) if going else []
        wanted = {day for _, days in lacking for day in days}
        intact = [
            snapshot
            for snapshot in reversed(snapshots)
            if wanted.intersection(snapshot.held_days())
            and not missing_objects(self._store, snapshot)
        ]
        needed: dict[Day, list[tuple[Day, str]]] = {}
        for dataset, days in lacking:
            for day, holding in _holding(intact, dataset, days).items():
                if all(taken in going for taken in holding):
                    needed.setdefault(holding[0], []).append((day, dataset.name))
        return {
            taken: f"no other snapshot that is kept holds {spans([*{day for day, _ in days}])} "
            "whole, and the lake does not: "
            f"lake export {min(days)[1]} --day {min(days)[0]} --from-snapshot"
            for taken, days in needed.items()
        }

    def _lacking(self, system: str) -> Iterator[tuple[Dataset, set[Day]]]:
        """The days that the lake does not hold. Without requests to sources only those are late
        that were exported before they were over.
        """
        for status in self._statuses():
            if status.source == system:
                yield (
                    self._settings.dataset_named(status.dataset),
                    {
                        day
                        for day, of_day in status.days.items()
                        if of_day.state in ("missing", "damaged", "late")
                    },
                )

    def _statuses(self) -> list[DatasetStatus]:
        """Without requests to the sources; read once, where a snapshot would go."""
        if self._read is None:
            self._read = read_status(self._settings, self._store, None, today=self._today)
        return self._read

    def _newest_good(self, snapshots: list[SnapshotManifest]) -> Day | None:
        for snapshot in reversed(snapshots):
            if not missing_objects(self._store, snapshot):
                return Day.parse(snapshot.day)
        return None

    def _going(self, system: str, days: list[Day], rules: str) -> Iterator[Item]:
        objects = exclusive_objects(self._store, system, days)
        for day in days:
            key = snapshot_manifest_key(system, day)
            stat = self._store.stat(key)
            first = [PlannedObject(stat.key, stat.bytes, stat.etag)] if stat else []
            rest = [PlannedObject(o.key, o.bytes, o.etag, sha) for o, sha in objects.get(day, ())]
            reason = f"snapshots are kept {rules}"
            yield Item("snapshot", system, day, reason, (*first, *rest))

    def _reports(self) -> Iterator[Item]:
        keep = self._settings.retention.reports
        if keep >= FOREVER:
            return
        by_day: dict[tuple[str, Day], list[PlannedObject]] = {}
        for stat in self._store.list(_REPORTS):
            folder, _, name = stat.key.rpartition("/")
            if not (match := _DATED.search(name)):
                continue
            try:
                day = Day.parse(match[0])
            except UsageError:
                continue  # no day
            if is_over(day, keep, self._today):
                piece = PlannedObject(stat.key, stat.bytes, stat.etag)
                by_day.setdefault((folder, day), []).append(piece)
        for (folder, day), pieces in sorted(by_day.items()):
            reason = f"reports are kept for {keep} days"
            yield Item("report", folder, day, reason, tuple(pieces))


def _holding(
    snapshots: list[SnapshotManifest], dataset: Dataset, days: set[Day]
) -> dict[Day, list[Day]]:
    """When those of the snapshots, newest first, were taken that hold the days: those that were
    counted for the dataset; of a day that none of these holds, the others.
    """
    counted: dict[Day, list[Day]] = {}
    others: dict[Day, list[Day]] = {}
    for snapshot in snapshots:
        known = counted if system_named(dataset.source).counted(snapshot, dataset) else others
        for day in days.intersection(snapshot.held_days()):
            known.setdefault(day, []).append(Day.parse(snapshot.day))
    return others | counted


def _pieces(stats: dict[str, ObjectStat], *keys: tuple[str, str]) -> tuple[PlannedObject, ...]:
    return tuple(
        PlannedObject(key, stats[key].bytes, stats[key].etag, sha256)
        for key, sha256 in keys
        if key in stats
    )


def _shown(rules: SnapshotRules) -> str:
    return ", ".join(f"{name} {number}" for name, number in rules.model_dump().items() if number)
