"""A day and a query cut into requests of a bearable size.

Belongs here: steps, windows, shards of metrics.
Does not: HTTP, PromQL's text (promql), which labels a server has (narrowing).
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from itertools import groupby
from typing import Self

from lake.base.day import Day
from lake.systems.labels import metric_bucket
from lake.systems.prometheus.reading.promql import is_selector, of_metrics

MAX_STEPS = 11_000  # more a request is a 400
_TARGET_SAMPLES = 150_000  # about 4 MB of JSON
_LABELS_AS_SAMPLES = 14  # a series' labels are about as long as this number of samples
_MAX_NAMES = 64


@dataclass(frozen=True)
class Window:
    """Consecutive steps: the first, in ms since the epoch, and how many."""

    start_ms: int
    steps: int
    step_ms: int

    @property
    def end_ms(self) -> int:
        """The last step itself, as `query_range` wants it."""
        return self.start_ms + (self.steps - 1) * self.step_ms

    def parts(self, most_steps: int) -> Iterator[Self]:
        """The same steps in windows of at most `most_steps`."""
        for done in range(0, self.steps, most_steps):
            yield type(self)(
                self.start_ms + done * self.step_ms,
                min(most_steps, self.steps - done),
                self.step_ms,
            )

    def halves(self) -> tuple[Self, Self]:
        """Two windows, for two steps or more."""
        first, second = self.parts((self.steps + 1) // 2)
        return first, second


def whole_day(day: Day, step_ms: int) -> Window:
    """Every step from 00:00 on that lies before 24:00."""
    return Window(day.start_ms, -((day.start_ms - day.end_ms) // step_ms), step_ms)


@dataclass(frozen=True)
class Shard:
    """A query whose series' ids lie between those of the shards before and after it."""

    query: str
    series: int


def shards(query: str, series_by_metric: Mapping[str, int], samples_each: int) -> list[Shard]:
    """Groups of metrics in the order of their series' ids, each of a bearable size.

    `series_by_metric` holds every metric's name and about how many series it has, each with
    this number of samples in the longest window; series without a name are requested, too.
    A query that is not a selector stays whole.
    """
    if not is_selector(query):
        return [Shard(query, max(1, sum(series_by_metric.values())))]
    sizes = {"": 1, **series_by_metric}
    by_bucket = groupby(sorted(sizes, key=_by_bucket), key=metric_bucket)
    return [
        Shard(of_metrics(query, names), sum(sizes[name] for name in names))
        for names in _grouped(
            [list(names) for _, names in by_bucket],
            lambda names: sum(sizes[name] for name in names) <= bearable_series(samples_each),
        )
    ]


def bearable_series(samples_each: int) -> int:
    """Number of series that one answer may have, each with `samples_each` samples."""
    return max(1, _TARGET_SAMPLES // (samples_each + _LABELS_AS_SAMPLES))


def windows(day: Window, series: int, longest: int, samples_each: int) -> list[Window]:
    """The day in parts of at most `longest` steps, each of a bounded size for `series` series.

    `samples_each` is how many samples a series has in the longest.
    """
    bearable = longest * _TARGET_SAMPLES // (max(1, series) * samples_each)
    return list(day.parts(max(1, min(longest, bearable))))


def _by_bucket(name: str) -> tuple[int, str]:
    return metric_bucket(name), name


def _grouped(
    buckets: list[list[str]], bearable: Callable[[list[str]], bool]
) -> Iterator[list[str]]:
    """Neighbouring buckets together while that is bearable; a bucket is never cut."""
    held: list[str] = []
    for names in buckets:
        if held and not (len(held) + len(names) <= _MAX_NAMES and bearable(held + names)):
            yield held
            held = []
        held = held + names
    if held:
        yield held
