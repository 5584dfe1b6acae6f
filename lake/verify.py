"""Does the object hold what its manifest claims, and does the source still agree?

Belongs here: reading objects back, reading a source's day again, and comparing. Does not:
mending, or the ledger's overview.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from typing import Any

from lake.base.day import Day
from lake.base.errors import BadData, LakeError, Missing
from lake.config.datasets import Dataset
from lake.config.settings import Settings
from lake.erased import earlier_fingerprints, erased_rows
from lake.hot import hot_days
from lake.partition.definition import as_exported
from lake.partition.fingerprint import Fingerprint, HourlyFingerprint
from lake.partition.layout import partition_of_table, rollup_key, table_key, table_prefix
from lake.partition.ledger import read_ledger, read_standing
from lake.partition.manifest import Manifest
from lake.partition.read_back import read_back
from lake.partition.rollups import RollupManifest, read_rollup
from lake.process.scratch import explained_full_disk, scratch_directory
from lake.retype import documents_of, has_older_typing, source_documents, typing_of
from lake.rollup.checking import RollupState, rollup_state, sum_problem
from lake.rollup.definition import rollup_of
from lake.store import Store
from lake.systems.protocol import Source
from lake.systems.registry import count_problem, system
from lake.systems.source import accounted

_PARALLEL = 4
_TRIES = 3  # of a partition that runs replace meanwhile


@dataclass(frozen=True)
class ListedPartition:
    """One to be checked, with its entry in the ledger."""

    dataset: Dataset
    day: Day
    manifest: Manifest | BadData | None


@dataclass(frozen=True)
class Finding:
    """One partition checked. `problems` is empty where all holds.

    `fingerprint` is the manifest's, "" where it has none. `source_count` is None where the
    source was not compared, `source_fingerprint` "" where it was not read again. `typing` is the
    version of the rules that typed a MongoDB day: see retype. `erased` is how many of its rows
    `lake erase` has erased; `source_has_erased`: the source, read again, still has some.
    `overwritten`: a capped collection has overwritten rows of the day, which are not compared.
    `rollup` is the state of its rollup, None where the dataset has none; a missing or stale one
    is no problem.
    """

    dataset: str
    day: Day
    rows: int = 0
    bytes: int = 0
    fingerprint: str = ""
    source_count: int | None = None
    source_fingerprint: str = ""
    typing: int | None = None
    older_typing: bool = False
    erased: int = 0
    source_has_erased: bool = False
    overwritten: bool = False
    rollup: RollupState | None = None
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
            "fingerprint": self.fingerprint,
            "source_count": self.source_count,
            "source_fingerprint": self.source_fingerprint,
            "typing": self.typing,
            "older_typing": self.older_typing,
            "erased": self.erased,
            "source_has_erased": self.source_has_erased,
            "overwritten": self.overwritten,
            "rollup": self.rollup,
            "problems": list(self.problems),
        }


def to_verify(
    store: Store, datasets: Sequence[Dataset], days: Sequence[Day] | None
) -> list[ListedPartition]:
    """The days, by default every day that has a manifest or an object, in their order.

    Raises what listing the store raises.
    """
    partitions = []
    for dataset in datasets:
        ledger = read_ledger(store, dataset.name)
        chosen = sorted({*ledger, *_stored_days(store, dataset)}) if days is None else days
        partitions += [ListedPartition(dataset, day, ledger.get(day)) for day in chosen]
    return partitions


def _stored_days(store: Store, dataset: Dataset) -> Iterator[Day]:
    for stat in store.list(table_prefix(dataset.name)):
        if partition := partition_of_table(stat.key):
            yield partition[1]


def verify_many(
    settings: Settings,
    store: Store,
    partitions: Sequence[ListedPartition],
    source_of: Callable[[str], Source] | None,
    *,
    deep: bool = False,
) -> Iterator[Finding]:
    """Checks the partitions, in their order.

    With `source_of` the days that the source still keeps whole are counted there again, with
    `deep` they are read again. A partition that can't be checked is a finding, too; one that was
    replaced since it was listed is checked as it is now, one that was deleted is none. One that its
    source begins to delete at a midnight meanwhile is checked again, without the source.
    """

    def is_kept(partition: ListedPartition) -> bool:
        return hot_days(settings, partition.dataset.source).keeps(partition.day)

    def check(partition: ListedPartition) -> Finding | None:
        try:
            for _ in range(_TRIES):
                rollup, kept = stored_rollup(partition), is_kept(partition)
                finding = check_once(partition, rollup, kept=kept)
                if finding.ok or (now := _stored_now(store, partition)) is None:
                    return finding if finding.ok else None
                if (
                    _is_same(now, partition)
                    and str(stored_rollup(partition)) == str(rollup)
                    and is_kept(partition) == kept
                ):
                    return finding
                partition = now
        except LakeError as error:
            finding = _unchecked(partition, error)
        return finding

    def check_once(
        partition: ListedPartition, rollup: RollupManifest | BadData | None, *, kept: bool
    ) -> Finding:
        try:
            if isinstance(partition.manifest, BadData):
                raise partition.manifest
            source = source_of(partition.dataset.source) if source_of and kept else None
            finding = verify_partition(
                store, partition.dataset, partition.day, partition.manifest, source, deep=deep
            )
            return _with_rollup(settings, store, partition, rollup, finding)
        except LakeError as error:
            return _unchecked(partition, error)

    def stored_rollup(partition: ListedPartition) -> RollupManifest | BadData | None:
        if rollup_of(settings, partition.dataset) is None:
            return None
        return read_rollup(store, partition.dataset.name, partition.day)

    with ThreadPoolExecutor(_PARALLEL) as pool:
        yield from filter(None, pool.map(check, partitions))


def _stored_now(store: Store, partition: ListedPartition) -> ListedPartition | None:
    """The partition with its manifest of now; None where it had one, and has been deleted."""
    name, day = partition.dataset.name, partition.day
    manifest = read_standing(store, name, day).manifest
    deleted = manifest is None and partition.manifest and not store.stat(table_key(name, day))
    return None if deleted else replace(partition, manifest=manifest)


def _is_same(partition: ListedPartition, other: ListedPartition) -> bool:
    """Whether their manifests are, or the errors instead of them."""
    return str(partition.manifest) == str(other.manifest)


def _unchecked(partition: ListedPartition, error: LakeError) -> Finding:
    return Finding(partition.dataset.name, partition.day, problems=(str(error),))


def _with_rollup(
    settings: Settings,
    store: Store,
    partition: ListedPartition,
    stored_rollup: RollupManifest | BadData | None,
    finding: Finding,
) -> Finding:
    """The finding, with the problems of the day's rollup."""
    rollup = rollup_of(settings, partition.dataset)
    if rollup is None or not isinstance(partition.manifest, Manifest):
        return finding
    stat = store.stat(rollup_key(partition.dataset.name, partition.day))
    state = rollup_state(
        rollup, partition.manifest, stored_rollup, {stat.key: stat.bytes} if stat else {}
    )
    problems: list[str] = []
    if state == "damaged":
        problems = ["the rollup's object or manifest is damaged; `lake rollup --force` makes it"]
    elif (
        isinstance(stored_rollup, RollupManifest) and state in ("current", "differs") and finding.ok
    ):
        from lake.rollup.verifying import rollup_problems  # noqa: PLC0415  DuckDB

        problems = rollup_problems(store, rollup, partition.manifest, stored_rollup)
        if state == "differs":
            problems.append(sum_problem(stored_rollup, partition.manifest))
        elif problems:
            state = "differs"
    return replace(finding, rollup=state, problems=(*finding.problems, *problems))


def verify_partition(
    store: Store,
    dataset: Dataset,
    day: Day,
    manifest: Manifest | None,
    source: Source | None,
    *,
    deep: bool = False,
) -> Finding:
    """Reads the whole object; with a source, counts the day there again or reads it, too.

    Raises what the store and the source raise; a difference is a finding, not an error.
    """
    problems = object_problems(store, manifest)
    if manifest is None:
        return Finding(dataset.name, day, problems=tuple(problems))
    dataset = as_exported(dataset, manifest)
    if problem := count_problem(manifest):
        problems.append(problem)
    counted, read, still_there, gone = None, "", False, False
    erased = erased_rows(manifest.details)
    if source:
        count = source.count(dataset, day)
        counted = count.rows
        # Where the count may be below the rows, it may also lie anywhere between the two. Of the
        # erased rows the source may have any number.
        least = manifest.source_count - erased
        gone = count.overwritten and counted < least
        if not gone and not least <= counted <= accounted(manifest.rows, manifest.details):
            problems.append(
                f"the source counts {counted} rows ({count.method}), the lake has {manifest.rows}"
            )
        if gone:
            deep = False  # what is left can't be all that was exported
        if deep and has_older_typing(manifest):
            # Typed again, the same documents have another fingerprint.
            problems += _documents_problems(store, source, dataset, day, manifest)
        elif deep:
            now = _read_again(source, dataset, day)
            read = str(now)
            still_there = read in earlier_fingerprints(manifest.details)
            if not still_there and (
                problem := _content_problem(store, dataset, day, manifest, now)
            ):
                problems.append(problem)
    return Finding(
        dataset.name,
        day,
        manifest.rows,
        manifest.bytes,
        manifest.fingerprint,
        counted,
        read,
        typing_of(manifest),
        has_older_typing(manifest),
        erased,
        still_there,
        gone,
        problems=tuple(problems),
    )


def object_problems(store: Store, manifest: Manifest | None) -> list[str]:
    """Reads the object back and decodes its rows: what of it is not as its manifest claims."""
    if manifest is None:
        return ["no manifest: the day is not exported"]
    rows = Fingerprint()
    try:
        content = read_back(store, manifest.key, rows if manifest.fingerprint else None)
    except Missing:
        return ["the object is gone"]
    if content.bytes != manifest.bytes:
        return [f"the object has {content.bytes} bytes, its manifest records {manifest.bytes}"]
    if content.sha256 != manifest.sha256:
        return ["the object's sha256 is not its manifest's"]
    if content.rows is None:
        return ["the object is not a Parquet file"]
    if content.rows != manifest.rows:
        return [f"the object has {content.rows} rows, its manifest records {manifest.rows}"]
    if manifest.fingerprint and str(rows) != manifest.fingerprint:
        return [f"the object's rows are {rows}, those that were read {manifest.fingerprint}"]
    return []


def _documents_problems(
    store: Store, source: Source, dataset: Dataset, day: Day, manifest: Manifest
) -> list[str]:
    with explained_full_disk(), scratch_directory() as scratch:
        now = source_documents(source, dataset, day, scratch)
    try:
        stored = documents_of(store, manifest)
    except Missing:
        return []  # reported already
    if now == stored:
        return []
    return [f"the source's documents have changed: {stored.count} exported, {now.count} now"]


def _read_again(source: Source, dataset: Dataset, day: Day) -> HourlyFingerprint:
    """What the source has now, on the path that an export takes; nothing is written."""
    fingerprint = _by_hour(dataset, day)
    with (
        explained_full_disk(),
        scratch_directory() as scratch,
        source.read(dataset, day, scratch) as stream,
    ):
        for batch in stream.batches:
            fingerprint.add(batch)
    return fingerprint


def _by_hour(dataset: Dataset, day: Day) -> HourlyFingerprint:
    column = system(dataset.source).time_column(dataset)
    return HourlyFingerprint(column, day.start_ns)


def _content_problem(
    store: Store, dataset: Dataset, day: Day, manifest: Manifest, now: HourlyFingerprint
) -> str:
    """How the rows differ, if they do. Where the manifest has no fingerprint the object has."""
    if str(now) == manifest.fingerprint:
        return ""
    stored = _by_hour(dataset, day)
    try:
        read_back(store, manifest.key, stored)
    except Missing:
        return ""  # reported already
    if not (hours := stored.difference(now)):
        return ""
    differences = [
        f"{'no hour of the day' if hour == 24 else f'{hour:02}:00'}: {had} rows exported, {has} now"
        for hour, had, has in hours[:3]
    ]
    more = f", and {len(hours) - 3} hours more" if len(hours) > 3 else ""
    return f"the source's rows have changed ({', '.join(differences)}{more})"
