"""The day's count by Loki 3.0 to 3.2, which leaves out the last nanosecond of each part of a query.

Belongs here: what is added to such a count, on a server's rule for it. Does not: requests
(test_loki_counting.py), counts of real servers (test_loki_masked.py).
"""

from __future__ import annotations

import re
from collections.abc import Callable

import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from lake.base.day import Day
from lake.http.client import Http
from lake.systems.loki.config import LokiSource
from lake.systems.loki.reading.api import Api, Page
from lake.systems.loki.reading.counting import counted_day
from lake.systems.loki.reading.limit import Limit
from lake.systems.loki.reading.logql import Selector
from lake.systems.loki.reading.split import Split
from lake.systems.loki.reading.version import Dialect, Version

DAY = Day.parse("2026-07-15")
SECOND, HOUR = 10**9, 3600 * 10**9
_NS = {"ms": 10**6, "s": SECOND, "m": 60 * SECOND, "h": HOUR}
SELECTOR = Selector.parse('{job="j"} |= "x"')


class OpenEnded(Api):
    """Lines at `times`, counted as Loki 3.1.2 counts them: seen there, by hand.

    A range is open at both ends, and a query over more than `interval_ns` is a sum over parts of
    that length, each as open. `closed`: on the right, as on any other version.
    """

    def __init__(self, times: list[int], interval_ns: int, *, closed: bool) -> None:
        section = LokiSource(url="http://127.0.0.1:1", timeout_s=5)
        super().__init__(Http(section, "loki"), Limit(), Dialect(Version("3.1.2")))
        self._times, self._interval_ns, self._closed = sorted(times), interval_ns, closed

    def _count(self, query: str, end_ns: int) -> int:
        duration = re.search(r"\[(\d+)(ms|s|m|h)\]", query)
        assert duration, query
        start_ns = end_ns - int(duration[1]) * _NS[duration[2]]
        part_ns = self._interval_ns or end_ns - start_ns
        return sum(
            start_ns < at <= end_ns and (self._closed or (end_ns - at) % part_ns > 0)
            for at in self._times
        )

    def vector(
        self, query: str, at_ns: int, *, smallest: bool = False
    ) -> list[tuple[dict[str, str], float]]:
        rows = self._count(query, at_ns)
        return [({}, rows)] if rows else []

    def sum_at_steps(self, query: str, start_ns: int, end_ns: int, step_s: int) -> dict[int, int]:
        steps = range(start_ns, end_ns + 1, step_s * SECOND)
        counts = {at // SECOND: self._count(query, at) for at in steps}
        return {at: rows for at, rows in counts.items() if rows}

    def page(self, selector: Selector, start_ns: int, end_ns: int, limit: int) -> Page:
        lines = [at for at in self._times if start_ns <= at < end_ns][:limit]
        return Page(pa.table({"ts_ns": pa.array(lines, pa.int64())}), limit)

    def resolving(self, resolve: Callable[..., object]) -> Api:
        return self


def count(times: list[int], interval_ns: int, split: Split, *, closed: bool = False) -> int:
    api = OpenEnded(times, interval_ns, closed=closed)
    return counted_day(api, SELECTOR, DAY, 2, lambda: split)


def near_cuts(interval_ns: int) -> st.SearchStrategy[list[int]]:
    """Some of the day's times, most of them at a cut of such a server or a little beside it."""
    cuts = st.integers(0, (DAY.end_ns - DAY.start_ns) // interval_ns).map(
        lambda number: DAY.start_ns + number * interval_ns
    )
    beside = st.sampled_from((-(10**6), -(10**6) - 1, -(10**6) + 1, -2, -1, 0, 1, 2, 10**6))
    times = st.one_of(
        st.tuples(cuts, beside).map(sum), st.integers(DAY.start_ns, DAY.end_ns - 1)
    ).filter(lambda at: DAY.start_ns <= at < DAY.end_ns)
    return st.lists(times, max_size=30)


@pytest.mark.parametrize("interval_s", [900, 1800, 3600, 86_400])
@given(data=st.data())
def test_no_line_is_left_out(interval_s: int, data: st.DataObject) -> None:
    interval_ns = interval_s * SECOND
    times = data.draw(near_cuts(interval_ns))
    assert count(times, interval_ns, Split(interval_ns, f"{interval_s}s")) == len(times)


@given(times=near_cuts(HOUR))
def test_no_line_is_counted_twice_where_queries_are_not_split(times: list[int]) -> None:
    """A frontend that has the setting, asked behind its back."""
    assert count(times, 0, Split(HOUR, "3600s")) == len(times)
    assert count(times, 0, Split(0, "0s")) == len(times)


@given(times=near_cuts(HOUR))
def test_no_line_is_counted_twice_where_ranges_are_closed(times: list[int]) -> None:
    assert count(times, HOUR, Split(HOUR, "3600s"), closed=True) == len(times)


def test_a_hidden_configuration() -> None:
    """The day's last ns is looked at, too, the other parts' are not: the count is too low."""
    last, at_a_cut = DAY.end_ns - 1, DAY.end_ns - HOUR - 1
    times = [last, last, at_a_cut, at_a_cut - 1]
    assert count(times, HOUR, Split(60 * SECOND, "unknown")) == 3


@pytest.mark.parametrize("lines", [1, 2, 300])
def test_many_lines_at_one_cut(lines: int) -> None:
    cut = DAY.start_ns + 7 * HOUR - 1
    assert count([cut] * lines + [cut + 1], HOUR, Split(HOUR, "3600s")) == lines + 1
