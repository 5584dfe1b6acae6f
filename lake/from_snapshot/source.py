"""A restored snapshot as a source: what is read from it names the snapshot.

Belongs here: the wrapper around a restored server's source, and the one for days that need no
read. Does not: restoring, reading.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, NoReturn

from lake.base.day import Day
from lake.base.errors import Conflict
from lake.config.datasets import Dataset
from lake.hot import FINAL_COUNTS
from lake.snapshots.manifest import SnapshotManifest
from lake.systems.protocol import Source
from lake.systems.source import SNAPSHOT, Count, WithoutServer

if TYPE_CHECKING:
    from lake.partition.table import TableStream


class SnapshotSource:
    """See lake.systems.protocol.Source. No day grows any more.

    `provenance(day)` goes into the manifest's details. `require_held` raises where the snapshot
    does not prove to hold a day of a dataset.
    """

    lateness_days = -FINAL_COUNTS  # no day is counted again

    def __init__(
        self,
        source: Source,
        snapshot: SnapshotManifest,
        provenance: Callable[[Day], Mapping[str, Any]],
        require_held: Callable[[Dataset, Day], None],
    ) -> None:
        self._source = source
        self._name = f"{snapshot.system} {snapshot.day}"
        self._provenance = provenance
        self._require_held = require_held
        self.may_count_low = source.may_count_low

    @contextmanager
    def read(self, dataset: Dataset, day: Day, scratch: Path) -> Iterator[TableStream]:
        """See Source."""
        self._require_held(dataset, day)
        with self._source.read(dataset, day, scratch) as stream:
            stream.details[SNAPSHOT] = dict(self._provenance(day))
            yield stream

    def count(self, dataset: Dataset, day: Day) -> Count:
        """See Source: the restored server's count."""
        count = self._source.count(dataset, day)
        return Count(count.rows, f"{count.method}, in the snapshot {self._name}")

    def undated(self, dataset: Dataset) -> int | None:
        """See Source."""
        return self._source.undated(dataset)

    def outside(self, dataset: Dataset, start: Day, end: Day) -> int | None:
        """See Source."""
        return self._source.outside(dataset, start, end)

    def unseen(self, dataset: Dataset, day: Day) -> int:
        """See Source."""
        return self._source.unseen(dataset, day)

    def stop(self) -> None:
        """See Source."""
        self._source.stop()

    def close(self) -> None:
        """See Source."""
        self._source.close()


class NoSource(WithoutServer):
    """For partitions that are there: an export that needs rows after all raises Conflict."""

    lateness_days = -FINAL_COUNTS  # no day is counted again

    def read(
        self, dataset: Dataset, day: Day, scratch: Path
    ) -> AbstractContextManager[TableStream]:
        """See Source."""
        _changed(dataset, day)

    def count(self, dataset: Dataset, day: Day) -> Count:
        """See Source."""
        _changed(dataset, day)


def _changed(dataset: Dataset, day: Day) -> NoReturn:
    raise Conflict(
        "the partition was complete and has gone meanwhile",
        where=f"{dataset.name} {day}",
        remedy="run it again",
    )
