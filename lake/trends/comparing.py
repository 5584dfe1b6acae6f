"""A trend against the time before: this range against the last, week over week, month over month.

Belongs here: which days are compared, rows side by side. Does not: the trend's own answer
(asking).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date
from decimal import Decimal
from typing import Any, Literal

from lake.base.day import Day
from lake.base.errors import UsageError
from lake.query import Answer, Lake
from lake.trends.asking import ask_fitting, missing_of
from lake.trends.files import Trend
from lake.trends.fitting import Fit

_MISSING_SHARE = 0.05  # of a range's days
Row = Mapping[str, Any]
Period = Literal["week", "month"]


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


def periods(days: Days, every: Period) -> list[Days]:
    """The whole weeks (Monday to Sunday) or months that begin in the range and are over, oldest
    first. Raises UsageError for none.
    """
    today = Day.today()
    chosen = []
    start = days.start if _is_first(days.start, every) else _next(days.start, every)
    while start < days.end and (end := _next(start, every)) <= today:
        chosen.append(Days(start, end))
        start = end
    if not chosen:
        first = "a Monday, at least a week ago" if every == "week" else "the 1st of a month"
        raise UsageError(
            f"no complete {every} begins in the range",
            expected=f"a range with {first}",
            found=f"{days.start} … {days.end.plus(-1)}",
        )
    return chosen


def period_before(period: Days, every: Period) -> Days:
    """The week or month before."""
    if every == "month":
        return Days(_months_earlier(period.start, 1), period.start)
    return Days(period.start.plus(-7), period.start)


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


def by_period(lake: Lake, fitted: Fit, days: Days, every: Period) -> Answer:
    """One row for each week or month and value of the trend's keys, with the change in percent
    against the one before: None where more than 5 % of the days of either are missing. Raises
    LakeError, UsageError where none of the range is over.
    """
    trend = fitted.trend
    require_periods(trend, f"--{every}ly")
    chosen = periods(days, every)
    earlier = period_before(chosen[0], every)
    answer = ask_fitting(lake, fitted, earlier.start, chosen[-1].end, every)
    keys, measures = _columns(trend, answer)
    rows_of = {(row[trend.x], *key): row for key, row in _rows_by_keys(answer, keys)}
    whole = {p.start.date: _is_whole(lake, fitted, p) for p in [earlier, *chosen]}
    before_of = {p.start.date: period_before(p, every).start.date for p in chosen}
    rows = []
    for (first, *key), row in rows_of.items():
        if first not in before_of:
            continue
        before_it = before_of[first]
        change = _change if whole[first] and whole[before_it] else _unknown
        old = rows_of.get((before_it, *key), {})
        changes = (v for m in measures for v in (row[m], change(row[m], old.get(m))))
        rows.append((first, *key, *changes))
    types = dict(zip(answer.columns, answer.types, strict=True))
    return Answer(
        (every, *keys, *(f"{m}{suffix}" for m in measures for suffix in ("", "_change_percent"))),
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


def _is_first(day: Day, every: Period) -> bool:
    return day.date.weekday() == 0 if every == "week" else day.date.day == 1


def _next(day: Day, every: Period) -> Day:
    """The first day of the next week or month."""
    return day.plus(7 - day.date.weekday()) if every == "week" else _months_earlier(day, -1)
