"""Exports from snapshots: restores each snapshot once, exports its days, removes it again.

Belongs here: the order of the steps. Does not: the choice (choosing), restoring (lake.restore),
an export (lake.export).
"""

from __future__ import annotations

import hashlib
from collections.abc import Generator, Iterable, Iterator, Mapping, Sequence
from contextlib import closing
from typing import Any

from lake.base.day import Day
from lake.base.errors import LakeError, PermanentError, TransientError
from lake.base.progress import Progress, silent
from lake.base.sizes import size
from lake.config.datasets import Dataset
from lake.config.settings import Settings
from lake.erased import ErasedDays
from lake.export import Exporter
from lake.from_snapshot.choosing import Choice, Partition, chosen_snapshots, is_late
from lake.from_snapshot.source import NoSource, SnapshotSource
from lake.partition.layout import table_prefix
from lake.partition.ledger import read_ledger
from lake.partition.manifest import Manifest
from lake.restore.recovering import Recovered, recovered
from lake.runs import ExportResult, export_many
from lake.servers import closest, other_version
from lake.servers.binaries import version_parts
from lake.servers.closest import installing_remedy
from lake.snapshots.holding import spans
from lake.snapshots.manifest import SnapshotManifest, read_snapshot, snapshot_manifest_key
from lake.store import Store
from lake.systems.protocol import Source
from lake.systems.registry import system

_SNAPSHOTS_TRIED = 3  # each is a download; a cause on this machine holds for all of them
_KEPT_DAYS = 1_000_000  # what a snapshot holds whole does not depend on today


def export_from_snapshots(
    settings: Settings,
    store: Store,
    partitions: Sequence[Partition],
    *,
    jobs: int,
    force: bool = False,
    allow_shrink: bool = False,
    allow_erased: bool = False,
    snapshot: Day | None = None,
    progress: Progress = silent,
) -> Generator[ExportResult, None, None]:
    """Exports the partitions that are missing or damaged, with `force` all; yields results.

    Where a snapshot can't be restored, the next one that holds the days is tried, three in all.
    One snapshot after the other is restored into a temporary server, of which nothing is left at
    the end, nor when the generator is closed or interrupted. `snapshot`: the day on which those
    to read were taken; None: chosen by day. `allow_shrink` also accepts days of which the
    snapshot does not prove that nothing had expired. Raises what listing the store raises; all
    else is a result.
    """
    unread = set() if force else _standing(store, partitions)
    if not allow_erased:
        unread |= _erased(settings, store, partitions)
    without = [part for part in partitions if (part[0].name, part[1]) in unread]
    if without:
        sources: dict[str, Source] = {dataset.source: NoSource() for dataset, _ in without}
        yield from _exported(settings, store, sources, without, jobs=jobs, force=force)
    wanted = [part for part in partitions if (part[0].name, part[1]) not in unread]
    options = {
        "jobs": jobs,
        "force": force,
        "allow_shrink": allow_shrink,
        "allow_erased": allow_erased,
    }
    unusable: set[tuple[str, Day]] = set()
    errors: dict[tuple[str, Day], list[LakeError]] = {}
    while wanted:
        choices, unavailable = chosen_snapshots(
            settings, store, wanted, snapshot, unproven=allow_shrink, without=unusable
        )
        for missing in unavailable:
            tried = errors.get((missing.dataset.name, missing.day))
            yield ExportResult(
                missing.dataset.name, missing.day, None, tried[0] if tried else missing.error
            )
        wanted = []
        for choice in choices:
            left = {(dataset.name, day): (dataset, day) for dataset, day in choice.partitions}
            try:
                for result in _from_one(settings, store, choice, progress, **options):
                    left.pop((result.dataset, result.day), None)
                    yield result
            except LakeError as error:
                unusable.add((choice.system, choice.taken))
                again = _to_try_again(left, errors, error)
                for name, day in sorted(left.keys() - again.keys(), key=lambda part: part[::-1]):
                    yield ExportResult(name, day, None, errors[name, day][0])
                wanted += again.values()
                if again:
                    name = f"{choice.system} snapshot of {choice.taken}"
                    progress(name, f"{error.what}; trying the next one that holds the days")


def _to_try_again(
    left: Mapping[tuple[str, Day], Partition],
    errors: dict[tuple[str, Day], list[LakeError]],
    error: LakeError,
) -> dict[tuple[str, Day], Partition]:
    """Those that another snapshot may have: the first error stays the result where none has."""
    again = {}
    for part, partition in left.items():
        errors.setdefault(part, []).append(error)
        if not isinstance(error, TransientError) and len(errors[part]) < _SNAPSHOTS_TRIED:
            again[part] = partition
    return again


def _standing(store: Store, partitions: Iterable[Partition]) -> set[tuple[str, Day]]:
    """Those whose manifest and object are there: they need no rows, perhaps a rollup."""
    days: dict[str, list[Day]] = {}
    for dataset, day in partitions:
        days.setdefault(dataset.name, []).append(day)
    standing = set()
    for name, of_dataset in days.items():
        around = min(of_dataset), max(of_dataset).plus(1)
        ledger = read_ledger(store, name, *around, settled=True)
        sizes = {stat.key: stat.bytes for stat in store.list(table_prefix(name))}
        standing |= {
            (name, day)
            for day in of_dataset
            if isinstance(manifest := ledger.get(day), Manifest)
            and sizes.get(manifest.key) == manifest.bytes
            and not manifest.is_premature(Day.today())
        }
    return standing


def _erased(
    settings: Settings, store: Store, partitions: Iterable[Partition]
) -> set[tuple[str, Day]]:
    """Those that an export refuses, for rows of them were erased."""
    erased = ErasedDays(settings, store)
    days = {dataset.name: erased.of(dataset) for dataset, _ in partitions}
    return {(dataset.name, day) for dataset, day in partitions if day in days[dataset.name]}


def _from_one(
    settings: Settings, store: Store, choice: Choice, progress: Progress, **options: Any
) -> Iterator[ExportResult]:
    """One snapshot's partitions. Raises what restoring and serving raise."""
    manifest = read_snapshot(store, choice.system, choice.taken)
    _require_same_version(manifest)
    name = f"{choice.system} snapshot of {choice.taken}"
    days = len({day for _, day in choice.partitions})
    progress(name, f"{size(manifest.bytes)} for {days} {'day' if days == 1 else 'days'}")
    if late := sorted({day for _, day in choice.partitions if is_late(settings, manifest, day)}):
        progress(
            name,
            f"taken {manifest.created_at}, within the lateness window of {spans(late)}: rows "
            "that came later are not in it",
        )
    with recovered(settings, store, manifest, lambda text: progress(name, text)) as back:
        source = _source(settings, store, manifest, back, unproven=options["allow_shrink"])
        sources: dict[str, Source] = {choice.system: source}
        yield from _exported(settings, store, sources, choice.partitions, **options)


def _source(
    settings: Settings,
    store: Store,
    manifest: SnapshotManifest,
    back: Recovered,
    *,
    unproven: bool,
) -> SnapshotSource:
    stored = store.read(snapshot_manifest_key(manifest.system, Day.parse(manifest.day)))
    sha256 = hashlib.sha256(stored).hexdigest()

    def provenance(day: Day) -> Mapping[str, Any]:
        return {
            "system": manifest.system,
            "day": manifest.day,
            "created_at": manifest.created_at,
            "manifest_sha256": sha256,
            "server_version": str(manifest.server["version"]),
            "read_with": back.served.version,
            "within_lateness": is_late(settings, manifest, day),
        }

    def require_held(dataset: Dataset, day: Day) -> None:
        system(manifest.system).require_held(
            settings, manifest, back.directory, dataset, day, unproven=unproven
        )

    return SnapshotSource(back.source, manifest, provenance, require_held)


def _exported(
    settings: Settings,
    store: Store,
    sources: Mapping[str, Source],
    partitions: Sequence[Partition],
    **options: Any,
) -> Iterator[ExportResult]:
    hot = settings.hot.model_copy(update=dict.fromkeys(sources, _KEPT_DAYS))
    exporter = Exporter(settings.model_copy(update={"hot": hot}), store, sources)
    with closing(exporter), closing(export_many(exporter, partitions, **options)) as results:
        yield from results


def _require_same_version(manifest: SnapshotManifest) -> None:
    """Raises PermanentError where another version would read the files: rows could differ."""
    restored, version = system(manifest.system), str(manifest.server["version"])
    if restored.reads_other_versions:
        return
    program = closest(restored.name, version)
    if program is not None and not (
        version_parts(version) and other_version(restored.name, version, program)
    ):
        return  # a version without a number can't be compared
    raise PermanentError(
        f"the {restored.title} that the snapshot was taken of is not on this machine",
        where=f"{manifest.system} {manifest.day}",
        expected=f"{restored.title} {version}",
        found=f"{restored.title} {program.version}" if program else f"no {restored.program}",
        remedy=installing_remedy(restored.name, version, program),
    )
