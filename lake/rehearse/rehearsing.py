"""The rehearsal: for each system some snapshots are restored and compared with the lake.

Belongs here: the order of the steps. Does not: any step.
"""

from __future__ import annotations

import random
import tempfile
import time
from collections.abc import Iterator, Sequence
from datetime import datetime

from lake import __version__
from lake.base.clock import utc_now
from lake.base.day import Day
from lake.base.errors import LakeError, Missing
from lake.base.progress import Progress, silent
from lake.config.settings import Settings
from lake.partition.ledger import read_ledger
from lake.partition.manifest import Manifest
from lake.query import Lake, connect
from lake.rehearse.choosing import chosen_days, covered_days
from lake.rehearse.comparing import compare
from lake.restore.recovering import Recovered, recovered
from lake.snapshots.manifest import SnapshotManifest, read_snapshot, snapshot_days
from lake.store import Store
from lake.systems import SYSTEMS
from lake.systems.comparison import Compared, Rehearsal, Rehearsed
from lake.systems.registry import backed_up_systems, system
from lake.systems.rehearsed import fetched

SAMPLES = 25
_DAYS_EACH = 2  # of one snapshot: its newest day and one more


def rehearse(
    settings: Settings,
    store: Store,
    *,
    systems: Sequence[str] = SYSTEMS,
    seed: int | None = None,
    days: int = 1,
    samples: int = SAMPLES,
    progress: Progress = silent,
) -> Rehearsal:
    """Brings snapshots back and compares. Differences and failures are results, not errors.

    `days`: number of snapshots of each system at random, besides the oldest and the newest;
    `samples`: number of values of each partition one by one. Raises Missing where there is no
    snapshot at all, and what listing them raises.
    """
    kept = {system: snapshots for system in systems if (snapshots := snapshot_days(store, system))}
    if not kept:
        raise _nothing(settings, store, systems)
    begun, clock = utc_now(), time.monotonic()
    chosen_seed = random.randrange(2**31) if seed is None else seed  # noqa: S311
    rehearsal = Rehearsal(
        str(Day(begun.date())), begun.isoformat(timespec="seconds"), __version__, chosen_seed
    )
    with _session(settings) as lake:
        ledgers = _ledgers(settings, store, list(kept))
        for system, kept_days in kept.items():
            for day, why in chosen_days(kept_days, days, chosen_seed).items():
                rehearsed = Rehearsed(system, str(day), why)
                rehearsal.snapshots.append(rehearsed)
                progress(f"{system} {day}", why)
                trial = _Trial(settings, store, lake, ledgers, chosen_seed, samples, progress)
                trial.run(rehearsed)
    rehearsal.seconds = time.monotonic() - clock
    return rehearsal


def _nothing(settings: Settings, store: Store, systems: Sequence[str]) -> Missing:
    configured = backed_up_systems(settings)
    wanted = [system for system in systems if system in configured]
    return Missing(
        "there is no snapshot to rehearse with",
        where=store.url(""),
        expected=f"at least one of {', '.join(wanted or systems or SYSTEMS)}",
        remedy=f"`lake snapshot {wanted[0]}` takes one; Dagster takes one every night"
        if wanted
        else "configure a [sources.…] in lake.toml: then `lake snapshot` takes one",
    )


def _session(settings: Settings) -> Lake:
    """For objects that have been fetched: it needs no table and no credentials."""
    here = settings.lake.model_copy(update={"root": tempfile.gettempdir()})
    return connect(settings.model_copy(update={"lake": here, "dataset": ()}))


def _newest_day(manifest: SnapshotManifest) -> Day:
    return max(manifest.held_days(), default=manifest.counted_day())


_Ledgers = dict[str, dict[str, dict[Day, Manifest]]]  # system → dataset → day


def _ledgers(settings: Settings, store: Store, systems: Sequence[str]) -> _Ledgers:
    """The exported days of each system's datasets."""
    ledgers: _Ledgers = {system: {} for system in systems}
    for dataset in settings.dataset:
        if dataset.source in ledgers:
            ledger = read_ledger(store, dataset.name)
            ledgers[dataset.source][dataset.name] = {
                day: manifest for day, manifest in ledger.items() if isinstance(manifest, Manifest)
            }
    return ledgers


class _Trial:
    """One snapshot: restored, compared, removed."""

    def __init__(
        self,
        settings: Settings,
        store: Store,
        lake: Lake,
        ledgers: _Ledgers,
        seed: int,
        samples: int,
        progress: Progress,
    ) -> None:
        self._settings, self._store, self._lake = settings, store, lake
        self._ledgers, self._seed, self._samples, self._progress = ledgers, seed, samples, progress

    def run(self, rehearsed: Rehearsed) -> None:
        """Fills the record; what goes wrong is its problem."""
        name = f"{rehearsed.system} {rehearsed.day}"
        try:
            manifest = read_snapshot(self._store, rehearsed.system, Day.parse(rehearsed.day))
            rehearsed.taken, rehearsed.bytes = manifest.created_at, manifest.bytes
            rehearsed.files = manifest.paths
            rehearsed.versions = f"{manifest.server['name']} {manifest.server['version']}"
            with recovered(
                self._settings, self._store, manifest, lambda text: self._progress(name, text)
            ) as back:
                rehearsed.recovery = back.times
                rehearsed.remarks += back.served.remarks
                self._newest(rehearsed, back)
                for partition in self._partitions(manifest):
                    self._progress(name, f"{partition.dataset} {partition.day}")
                    rehearsed.compared.append(self._compare(partition, back, manifest))
        except LakeError as error:
            rehearsed.problem = str(error)
            return
        if not rehearsed.compared:
            rehearsed.problem = str(
                Missing(
                    "the snapshot was restored, but there is nothing to compare it with",
                    where=name,
                    expected="an exported day that was over when the snapshot was taken",
                    remedy=f"lake export --day {_newest_day(manifest)}",
                )
            )

    def _newest(self, rehearsed: Rehearsed, back: Recovered) -> None:
        newest = back.questions.newest(datetime.fromisoformat(rehearsed.taken))
        if newest:
            rehearsed.newest = newest.isoformat(timespec="milliseconds")
            rehearsed.newest_age_s = round((utc_now() - newest).total_seconds(), 1)

    def _partitions(self, manifest: SnapshotManifest) -> Iterator[Manifest]:
        """Of each dataset the newest day that the snapshot covers, and one other."""
        for name, ledger in sorted(self._ledgers[manifest.system].items()):
            days = covered_days(self._settings, manifest, sorted(ledger))
            newest = [max(days)] if days else []
            others = [day for day in days if day not in newest]
            random.Random(f"{self._seed} {name}").shuffle(others)  # noqa: S311
            for day in (newest + others)[:_DAYS_EACH]:
                yield ledger[day]

    def _compare(self, exported: Manifest, back: Recovered, manifest: SnapshotManifest) -> Compared:
        fixed = system(exported.source).label_free
        with fetched(self._store, exported, self._lake, fixed) as part:
            taken = datetime.fromisoformat(manifest.created_at)
            return compare(part, back.source, back.questions, taken, self._seed, self._samples)
