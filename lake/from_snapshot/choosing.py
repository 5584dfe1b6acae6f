"""Which snapshot each partition is read from.

Belongs here: the choice, by the manifests. Does not: restoring, what only restored files show.

A snapshot holds a day whole by its manifest. Preferred are those that were counted for the dataset,
and of these those that were taken after the day's lateness window, for they hold late rows too; of
these the newest, unless one that is restored for another day serves as well. Where all were taken
within the window, it is the newest.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass, replace
from datetime import datetime

from lake.base.day import Day
from lake.base.errors import BadData, LakeError, Missing
from lake.config.datasets import Dataset
from lake.config.settings import Settings
from lake.hot import hot_days
from lake.snapshots.holding import spans
from lake.snapshots.manifest import SnapshotManifest, read_snapshot, snapshot_days
from lake.store import Store
from lake.systems.registry import system

Partition = tuple[Dataset, Day]

_LISTED = 10


@dataclass(frozen=True)
class Choice:
    """One snapshot, and the partitions to read from it, by day."""

    system: str
    taken: Day
    partitions: tuple[Partition, ...]


@dataclass(frozen=True)
class Unavailable:
    """A partition that no snapshot holds, and why."""

    dataset: Dataset
    day: Day
    error: LakeError


@dataclass(frozen=True)
class _Snapshots:
    """Those of one system, newest first, without their lists of files; `unread` with the reason."""

    manifests: tuple[SnapshotManifest, ...]
    unread: tuple[str, ...]


def is_late(settings: Settings, manifest: SnapshotManifest, day: Day) -> bool:
    """Whether the snapshot was begun while the day could still grow.

    Its manifest is written at its end, perhaps after a midnight; it is filed under the day on which
    it was begun. Those of earlier versions were filed under another one.
    """
    settled = day.plus(1 + hot_days(settings, manifest.system).lateness_days)
    if manifest.whole_days is not None and Day.parse(manifest.day) < settled:
        return True
    return datetime.fromisoformat(manifest.created_at) < settled.start


def chosen_snapshots(
    settings: Settings,
    store: Store,
    partitions: Iterable[Partition],
    named: Day | None = None,
    *,
    unproven: bool = False,
    without: Collection[tuple[str, Day]] = (),
) -> tuple[list[Choice], list[Unavailable]]:
    """The snapshots to restore, by system and day; and the partitions that none of them holds.

    `named`: the day on which the snapshots were taken; None: chosen by the days that they hold.
    `without`: by system and day taken, those that can't be restored.
    `unproven`: accepts snapshots that lack what the first rows of the day depend on.
    Raises what listing the store raises.
    """
    by_system: dict[str, list[Partition]] = {}
    for partition in partitions:
        by_system.setdefault(partition[0].source, []).append(partition)
    choices: list[Choice] = []
    unavailable: list[Unavailable] = []
    for name, of_system in sorted(by_system.items()):
        of_system.sort(key=lambda partition: (partition[1], partition[0].name))
        unusable = {taken for system_, taken in without if system_ == name}
        snapshots = _snapshots(store, name, min(day for _, day in of_system), named, unusable)
        eligible = {
            (dataset.name, day): _eligible(settings, snapshots, dataset, day, unproven=unproven)
            for dataset, day in of_system
        }
        unavailable += [
            Unavailable(dataset, day, _missing(store, dataset, day, snapshots, named))
            for dataset, day in of_system
            if not eligible[dataset.name, day]
        ]
        choices += _fewest(name, of_system, eligible)
    return choices, unavailable


def _snapshots(
    store: Store, name: str, first: Day, named: Day | None, unusable: Collection[Day]
) -> _Snapshots:
    """A snapshot holds days before the one on which it was taken: earlier ones are not read."""
    days = snapshot_days(store, name)
    wanted = [day for day in days if (day == named if named else day > first)]
    wanted = [day for day in wanted if day not in unusable]
    manifests, unread = [], []
    for taken in reversed(wanted):
        try:
            manifest = read_snapshot(store, name, taken)
        except (BadData, Missing) as error:
            unread.append(f"{taken}: {error.what}")
            continue
        manifests.append(replace(manifest, files=[], objects=[]))  # many, and not needed here
    return _Snapshots(tuple(manifests), tuple(unread))


def _eligible(
    settings: Settings, snapshots: _Snapshots, dataset: Dataset, day: Day, *, unproven: bool
) -> list[Day]:
    """When the snapshots were taken that the day may be read from, newest first."""
    covers, counted = system(dataset.source).covers, system(dataset.source).counted
    holding = [manifest for manifest in snapshots.manifests if day in manifest.held_days()]
    covering = [manifest for manifest in holding if covers(manifest, dataset, day)]
    if not covering and unproven:
        covering = holding
    covering = [manifest for manifest in covering if counted(manifest, dataset)] or covering
    settled = [manifest for manifest in covering if not is_late(settings, manifest, day)]
    return [Day.parse(manifest.day) for manifest in settled or covering[:1]]


def _fewest(
    name: str, partitions: Sequence[Partition], eligible: dict[tuple[str, Day], list[Day]]
) -> list[Choice]:
    """From the oldest day on: the newest snapshot that it may be read from, with every later day
    that may be read from there, too. Whole days lie in a row, so fewer snapshots do not suffice.
    """
    left = [(dataset, day) for dataset, day in partitions if eligible[dataset.name, day]]
    choices = []
    while left:
        dataset, day = left[0]
        taken = eligible[dataset.name, day][0]
        served = [part for part in left if taken in eligible[part[0].name, part[1]]]
        left = [part for part in left if taken not in eligible[part[0].name, part[1]]]
        choices.append(Choice(name, taken, tuple(served)))
    return choices


def _missing(
    store: Store, dataset: Dataset, day: Day, snapshots: _Snapshots, named: Day | None
) -> Missing:
    name = dataset.source
    holding = [manifest for manifest in snapshots.manifests if day in manifest.held_days()]
    if holding:
        return Missing(
            f"{dataset.name} {day} depends on rows from before that day, which no snapshot holds",
            where=store.url(f"{name}/"),
            expected="a snapshot that begins earlier, by as much as the query looks back",
            found="; ".join(f"{m.day} begins {m.window.get('start')}" for m in holding[:_LISTED]),
            remedy="--allow-shrink exports the day without the first values that depend on them",
        )
    listed = [
        f"{manifest.day} holds {spans(manifest.held_days())}" for manifest in snapshots.manifests
    ] + list(snapshots.unread)
    more = len(listed) - _LISTED
    return Missing(
        f"no snapshot of {name} holds {day} whole"
        if named is None
        else f"the snapshot of {name} of {named} does not hold {day} whole",
        where=store.url(f"{name}/"),
        expected=f"a UTC day that was over when the snapshot was taken, and that {name} still "
        "kept then",
        found="; ".join(listed[:_LISTED]) + (f"; {more} older ones" if more > 0 else "")
        or ("no snapshot after that day" if named is None else "no snapshot of that day"),
        remedy="`lake snapshots` lists the days that each snapshot holds"
        + ("" if named is None else "; without --snapshot one is chosen by the day"),
    )
