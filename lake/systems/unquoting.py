"""A source whose errors quote no values of datasets with rules.

Belongs here: the wrapper. Does not: what of a message is a value (lake.privacy.messages).
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from pathlib import Path
from typing import TYPE_CHECKING

from lake.base.day import Day
from lake.config.datasets import Dataset
from lake.privacy.messages import no_values, quiet_libraries
from lake.systems.protocol import Source
from lake.systems.source import Count

if TYPE_CHECKING:
    from lake.partition.table import TableStream


class UnquotingSource:
    """See lake.systems.protocol.Source. Datasets without rules are read as by the source itself."""

    def __init__(self, source: Source) -> None:
        self.source = source
        self.lateness_days = source.lateness_days
        self.may_count_low = source.may_count_low

    @contextmanager
    def read(self, dataset: Dataset, day: Day, scratch: Path) -> Iterator[TableStream]:
        """See Source. Errors of what is done with the stream quote its rows, too."""
        with _guarded(dataset), self.source.read(dataset, day, scratch) as stream:
            yield stream

    def count(self, dataset: Dataset, day: Day) -> Count:
        """See Source."""
        with _guarded(dataset):
            return self.source.count(dataset, day)

    def undated(self, dataset: Dataset) -> int | None:
        """See Source."""
        with _guarded(dataset):
            return self.source.undated(dataset)

    def outside(self, dataset: Dataset, start: Day, end: Day) -> int | None:
        """See Source."""
        with _guarded(dataset):
            return self.source.outside(dataset, start, end)

    def unseen(self, dataset: Dataset, day: Day) -> int:
        """See Source."""
        with _guarded(dataset):
            return self.source.unseen(dataset, day)

    def stop(self) -> None:
        """See Source."""
        self.source.stop()

    def close(self) -> None:
        """See Source."""
        self.source.close()


def _guarded(dataset: Dataset) -> AbstractContextManager[None]:
    if not dataset.columns:
        return nullcontext()
    quiet_libraries()
    return no_values(repr(dataset.model_dump()))
