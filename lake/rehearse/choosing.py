"""Which snapshots are restored, and which exported days each is compared with.

Belongs here: the choice, by a seed. Does not: reading or restoring anything chosen.
"""

from __future__ import annotations

import random
from collections.abc import Sequence
from datetime import datetime, timedelta

from lake.base.day import Day
from lake.config.settings import Settings
from lake.hot import hot_days
from lake.snapshots.manifest import SnapshotManifest

_LOOKBACK = timedelta(minutes=5)  # a range query's first steps look at the day before


def chosen_days(days: Sequence[Day], wanted: int, seed: int) -> dict[Day, str]:
    """The oldest, the newest, and `wanted` others at random, oldest first, each with why.

    `days` are those that have a snapshot, oldest first. The same seed chooses the same.
    """
    chosen = {days[0]: "oldest", days[-1]: "newest"} if len(days) > 1 else {days[0]: "only"}
    others = [day for day in days if day not in chosen]
    picked = random.Random(seed).sample(others, min(wanted, len(others)))  # noqa: S311
    chosen |= dict.fromkeys(picked, "random")
    return dict(sorted(chosen.items()))


def covered_days(settings: Settings, manifest: SnapshotManifest, days: Sequence[Day]) -> list[Day]:
    """Those of the exported `days` that the snapshot holds whole, its own day first if it does.

    Manifests of earlier versions do not list them: then a day is whole if it was over when the
    snapshot was taken, and nothing of it was due to be removed, by the snapshot's window where
    it has one, else by `[hot]`.
    """
    if manifest.whole_days is not None:
        held = set(manifest.held_days())
        return [day for day in days if day in held]
    taken = datetime.fromisoformat(manifest.created_at)
    start = manifest.window.get("start")
    if start:
        oldest = datetime.fromisoformat(start) + _LOOKBACK
    else:
        kept = hot_days(settings, manifest.system).kept_days
        oldest = taken - timedelta(days=kept - 1)
    whole = [day for day in days if day.end <= taken and day.start >= oldest]
    own = Day.parse(manifest.day)
    first = [day for day in days if day == own and day.end <= taken]
    return [*first, *(day for day in whole if day != own)]
