"""Sources whose counts are cached for a short time.

Belongs here: keeping counts by age. Does not: what they mean.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Hashable
from typing import Any

from lake.base.day import Day
from lake.config.datasets import Dataset
from lake.systems.protocol import Source
from lake.systems.source import Count

COUNTS_S = 300.0


class CachedSources:
    """Sources by name, whose counts are kept for five minutes: a page that is loaded again must
    not load them.
    """

    def __init__(
        self, source_of: Callable[[str], Source], clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._source_of = source_of
        self._clock = clock
        self._kept: dict[Hashable, tuple[float, Any]] = {}

    def __call__(self, name: str) -> Any:
        """The source of that name. Raises what opening it raises."""
        return _CachedSource(self._source_of(name), self._answer)

    def _answer(self, question: Hashable, ask: Callable[[], Any]) -> Any:
        kept = self._kept.get(question)
        if kept and self._clock() - kept[0] < COUNTS_S:
            return kept[1]
        answer = ask()
        self._kept[question] = (self._clock(), answer)
        return answer


class _CachedSource:
    """The counts of a source that lake.status requests."""

    def __init__(
        self, source: Source, answer: Callable[[Hashable, Callable[[], Any]], Any]
    ) -> None:
        self._source = source
        self._answer = answer
        self.lateness_days = source.lateness_days

    def count(self, dataset: Dataset, day: Day) -> Count:
        """See Source."""
        answer: Count = self._answer(
            ("count", dataset.name, day), lambda: self._source.count(dataset, day)
        )
        return answer

    def undated(self, dataset: Dataset) -> int | None:
        """See Source."""
        answer: int | None = self._answer(
            ("undated", dataset.name), lambda: self._source.undated(dataset)
        )
        return answer

    def outside(self, dataset: Dataset, start: Day, end: Day) -> int | None:
        """See Source."""
        answer: int | None = self._answer(
            ("outside", dataset.name, start, end),
            lambda: self._source.outside(dataset, start, end),
        )
        return answer

    def unseen(self, dataset: Dataset, day: Day) -> int:
        """See Source."""
        answer: int = self._answer(
            ("unseen", dataset.name, day), lambda: self._source.unseen(dataset, day)
        )
        return answer
