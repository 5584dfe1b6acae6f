"""Whether a server has written anything: by the sizes and times of its files.

Belongs here: one mark for all of a directory's files. Does not: which directory, what follows.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterable
from pathlib import Path

from lake.base.day import Day
from lake.snapshots.manifest import SnapshotManifest

STATE = "disk_state"


def disk_state(files: Iterable[tuple[Path, tuple[int, int]]]) -> str:
    """Of path, size and time of change in ns; what writes to any of them changes it."""
    digest = hashlib.sha256()
    for path, (size, changed_ns) in sorted(files):
        digest.update(f"{path}\0{size}\0{changed_ns}\n".encode())
    return digest.hexdigest()


class Counting:
    """A day's count before and after, repeated only where the server has written meanwhile.

    `last` is the newest snapshot: one that counted the same day, in the same state, has the
    count already.
    """

    def __init__(
        self,
        name: str,
        day: Day,
        last: SnapshotManifest | None,
        state: Callable[[], str],
        count: Callable[[], int],
    ) -> None:
        self._name = name
        self._state = state
        self._count = count
        self.state = state()
        known = last is not None and (last.counted_day(), last.details.get(STATE)) == (
            day,
            self.state,
        )
        self.unchanged = known and last is not None and f"{name}_after" not in last.counts
        self._before = int(last.counts[name]) if last and self.unchanged else -1

    @property
    def before(self) -> int:
        """The count at the beginning."""
        return self._before

    def begin(self) -> None:
        """Before anything is copied."""
        if not self.unchanged:
            self.state = self._state()
            self._before = self._count()

    def counts(self) -> dict[str, int]:
        """Both counts where they differ, for then what was copied lies between them."""
        numbers = {self._name: self._before}
        if self._state() != self.state:
            after = self._count()
            if after != self._before:
                numbers[f"{self._name}_after"] = after
        return numbers
