"""What a statement reads of each dataset, as values: which days, which columns.

Belongs here: the values. Does not: how they follow from the statement (understanding), tables.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

from lake.base.day import Day
from lake.query.hourly import hourly

REST = "_rest"
# Macros that read the view, of the dataset that their first argument names, from the day before the
# third argument to the fourth.
GROWTH: Mapping[str, Callable[[str], str]] = {
    "increase_by_day": hourly,
    "increase_by_hour": hourly,
    "histogram_increase_by_day": hourly,
    "histogram_increase_by_hour": hourly,
    "samples_increase_by_day": str,
}


@dataclass(frozen=True)
class Range:
    """Days in [start, end); None where it is open on that side.

    `with_before`: the day before the start is read, too, where the lake has it.
    """

    start: Day | None = None
    end: Day | None = None
    with_before: bool = False

    def has(self, day: Day) -> bool:
        """Whether the day is in it, without the day before the start."""
        return (not self.start or day >= self.start) and (not self.end or day < self.end)

    def within(self, start: Day | None, end: Day | None) -> Range:
        """The part of it in [start, end)."""
        starts = [day for day in (self.start, start) if day]
        ends = [day for day in (self.end, end) if day]
        return Range(max(starts, default=None), min(ends, default=None))


@dataclass
class Reads:
    """What is read of one dataset.

    `views` and `ranges`: the days of each mention as a view and as a range macro.
    """

    views: list[Range] = field(default_factory=list)
    ranges: list[Range] = field(default_factory=list)

    def view_range(self) -> Range:
        """The days of all mentions as a view."""
        starts, ends = [r.start for r in self.views], [r.end for r in self.views]
        return Range(
            None if None in starts else min(filter(None, starts), default=None),
            None if None in ends else max(filter(None, ends), default=None),
        )


@dataclass(frozen=True)
class Growth:
    """A call of a macro of GROWTH: the view that it reads, the metric, the days of the answer."""

    macro: str
    view: str
    metric: str
    days: Range


@dataclass
class Question:
    """A statement as far as it is understood.

    `understood`: nothing in it reads a dataset but what `datasets` has. `columns` has the
    paths of all column references, lower case. `every_column`: there may be more. `functions`
    has the names of all that are called, lower case; `sampled`: it draws rows at random; `growths`
    are those whose metric is a constant. `ordered` has the columns, as `columns`, whose values are
    compared by order: sorted, smallest, largest, in a range; `in_order` has all that expressions
    compared by order are made of, () for one without a column; `of_lists` those whose length or
    elements are taken by what takes those of texts, too. `now` has names such as current_date
    whose value the days follow: right where no column has the name.
    """

    datasets: dict[str, Reads] = field(default_factory=dict)
    columns: set[tuple[str, ...]] = field(default_factory=set)
    every_column: bool = False
    understood: bool = True
    functions: set[str] = field(default_factory=set)
    sampled: bool = False
    growths: list[Growth] = field(default_factory=list)
    ordered: set[tuple[str, ...]] = field(default_factory=set)
    in_order: set[tuple[str, ...]] = field(default_factory=set)
    of_lists: set[tuple[str, ...]] = field(default_factory=set)
    now: set[str] = field(default_factory=set)

    @property
    def reads_rest(self) -> bool:
        """Whether the statement may read `_rest`."""
        return self.every_column or any(REST in path for path in self.columns)
