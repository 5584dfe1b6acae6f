"""A trend against the time before: this range against the last, week over week.

Belongs here: which days are compared, rows side by side. Does not: the trend's own answer
(asking).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date, timedelta
from decimal import Decimal
from typing import Any

from lake.base.day import Day
from lake.base.errors import UsageError
from lake.query import Answer, Lake
from lake.trends.asking import ask_fitting, missing_of
from lake.trends.files import Trend
from lake.trends.fitting import Fit

_WEEK = timedelta(days=7)
_MISSING_SHARE = 0.05  # of a range's days
Row = Mapping[str, Any]


@dataclass(frozen=True)
class Days:
    """UTC days [start, end)."""

    start: Day
    end: Day


def before(days: Days) -> Days:
    """The range before: of whole months as many months, else as many days."""
    months = _whole_months(days)
    if months:
        return Days(_months_earlier(days.start, months), days.start)
    return Days(days.start.plus(-days.start.days_until(days.end)), days.start)


def weeks(days: Days) -> Days:
    """The whole weeks, Monday to Sunday, that begin in the range and are over. Raises UsageError
    for none.
    """
    start = _monday_from(days.start)
    end = min(_monday_from(days.end), _monday_from(Day.today().plus(-6)))
    if start >= end:
        raise UsageError(
            "no complete week begins in the range",
            expected="a range with a Monday, at least a week ago",
            found=f"{days.start} … {days.end.plus(-1)}",
        )
    return Days(start, end)


def compare(lake: Lake, fitted: Fit, days: Days) -> Answer:
    """One row for each value of the trend's keys: the range's measures, those of the range
    before, and the change in percent: None where more than 5 % of the days of either are missing.
    Raises LakeError.
    """
    trend = fitted.trend
    require_periods(trend, "--compare")
    now = ask_fitting(lake, fitted, days.start, days.end, "range")
    was = before(days)
    then = ask_fitting(lake, fitted, was.start, was.end, "range")
    keys, measures = _columns(trend, now)
    ours, theirs = _by_keys(now, keys), _by_keys(then, keys)
    change = _change if _is_whole(lake, fitted, days) and _is_whole(lake, fitted, was) else _unknown
    rows = []
    for key in dict.fromkeys([*ours, *theirs]):
        pairs = [(ours.get(key, {}).get(m), theirs.get(key, {}).get(m)) for m in measures]
        rows.append((*key, *(v for new, old in pairs for v in (new, old, change(new, old)))))
    types = dict(zip(now.columns, now.types, strict=True))
    return Answer(
        (
            *keys,
            *(f"{m}{suffix}" for m in measures for suffix in ("", "_before", "_change_percent")),
        ),
        (*(types[k] for k in keys), *(t for m in measures for t in (types[m], types[m], "DOUBLE"))),
        rows,
        left_out=tuple(dict.fromkeys((*now.left_out, *then.left_out))),
    )


def by_week(lake: Lake, fitted: Fit, days: Days) -> Answer:
    """One row for each week and value of the trend's keys, with the change in percent against the
    week before: None where a day of either is missing. Raises LakeError, UsageError where no week
    of the range is over.
    """
    trend = fitted.trend
    require_periods(trend, "--weekly")
    whole = weeks(days)
    answer = ask_fitting(lake, fitted, whole.start.plus(-7), whole.end, "week")
    keys, measures = _columns(trend, answer)
    every = {(row[trend.x], *key): row for key, row in _rows_by_keys(answer, keys)}
    starts = (whole.start.plus(7 * n) for n in range(-1, whole.start.days_until(whole.end) // 7))
    held = {s.date for s in starts if _is_whole(lake, fitted, Days(s, s.plus(7)))}
    rows = []
    for (week, *key), row in every.items():
        if week < whole.start.date:
            continue
        change = _change if {week, week - _WEEK} <= held else _unknown
        old = every.get((week - _WEEK, *key), {})
        changes = (v for m in measures for v in (row[m], change(row[m], old.get(m))))
        rows.append((week, *key, *changes))
    types = dict(zip(answer.columns, answer.types, strict=True))
    return Answer(
        ("week", *keys, *(f"{m}{suffix}" for m in measures for suffix in ("", "_change_percent"))),
        ("DATE", *(types[k] for k in keys), *(t for m in measures for t in (types[m], "DOUBLE"))),
        rows,
        left_out=answer.left_out,
    )


def require_periods(trend: Trend, option: str) -> None:
    """Raises UsageError for a trend whose statement takes no period."""
    if not trend.has_periods:
        raise UsageError(
            f"the trend {trend.name!r} has no other period: {option} does not apply",
            where=trend.path,
            expected="a statement with `$every`, and `every` among its header's parameters",
        )


def _columns(trend: Trend, answer: Answer) -> tuple[list[str], list[str]]:
    keys = [name for name in answer.columns if name in trend.keys]
    return keys, [name for name in answer.columns if name not in (trend.x, *keys)]


def _rows_by_keys(answer: Answer, keys: list[str]) -> list[tuple[tuple[Any, ...], Row]]:
    rows = [dict(zip(answer.columns, row, strict=True)) for row in answer.rows]
    return [(tuple(row[key] for key in keys), row) for row in rows]


def _by_keys(answer: Answer, keys: list[str]) -> dict[tuple[Any, ...], Row]:
    return dict(_rows_by_keys(answer, keys))


def _is_whole(lake: Lake, fitted: Fit, days: Days) -> bool:
    """Whether hardly any day is missing: sums over fewer days are not compared."""
    most = _MISSING_SHARE * days.start.days_until(days.end)
    missing = missing_of(lake, fitted, days.start, days.end)
    return all(len(of) <= most for of in missing.values())


def _unknown(_now: Any, _then: Any) -> None:
    """The change where days are missing."""


def _change(now: Any, then: Any) -> float | None:
    """In percent; None where there is nothing to compare with."""
    if not _is_number(now) or not _is_number(then) or not then:
        return None
    return round(100 * (float(now) / float(then) - 1), 2)


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float | Decimal) and not isinstance(value, bool)


def _whole_months(days: Days) -> int:
    start, end = days.start.date, days.end.date
    if start.day != 1 or end.day != 1:
        return 0
    return (end.year - start.year) * 12 + end.month - start.month


def _months_earlier(day: Day, months: int) -> Day:
    first = day.date
    number = first.year * 12 + first.month - 1 - months
    return Day(date(number // 12, number % 12 + 1, 1))


def _monday_from(day: Day) -> Day:
    return day.plus(-day.date.weekday() % 7)
