"""The first and last day of a server's data, found with few requests.

Belongs here: the search. Does not: the requests.
"""

from __future__ import annotations

from collections.abc import Callable

from lake.base.day import Day

_FURTHEST_DAYS = 3650
_LONG_DAYS = 30  # of a range of more than 40 days VictoriaMetrics returns the names of all time


def first_day(has_data: Callable[[Day, Day], bool], kept_days: int | None) -> Day | None:
    """The first day with data; None where there are none in ten years.

    A server may answer "yes" for any long range. Where the day found has no data by itself, the
    ranges are short ones.
    """
    today = Day.today()
    start = today.plus(-min(kept_days or _FURTHEST_DAYS, _FURTHEST_DAYS))
    end = today.plus(1)
    if not has_data(start, end):
        return None
    low, high = 0, start.days_until(today)  # the first day lies in [low, high]
    while low < high:
        middle = (low + high) // 2
        if has_data(start, start.plus(middle + 1)):
            high = middle
        else:
            low = middle + 1
    first = start.plus(low)
    if has_data(first, first.plus(1)):
        return first
    return _by_short_ranges(has_data, first, end)


def _by_short_ranges(has_data: Callable[[Day, Day], bool], start: Day, end: Day) -> Day | None:
    for offset in range(0, start.days_until(end), _LONG_DAYS):
        at = start.plus(offset)
        if has_data(at, min(at.plus(_LONG_DAYS), end)):
            days = (at.plus(day) for day in range(_LONG_DAYS))
            return next((day for day in days if day < end and has_data(day, day.plus(1))), at)
    return None


def last_day(has_data: Callable[[Day, Day], bool], first: Day) -> Day:
    """The last day with data, where the first one is known."""
    today = Day.today()
    end = today.plus(1)
    low, high = 0, first.days_until(today)
    while low < high:
        middle = (low + high + 1) // 2
        if has_data(first.plus(middle), end):
            low = middle
        else:
            high = middle - 1
    return first.plus(low)
