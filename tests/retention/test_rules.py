"""Keep rules against a reading of them day by day, without groups."""

from __future__ import annotations

import datetime as dt

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lake.base.day import Day
from lake.config.retention import SnapshotRules
from lake.retention.rules import kept_days

FIRST = Day.parse("2024-12-20")
RULES = st.builds(
    SnapshotRules,
    daily=st.integers(0, 10),
    weekly=st.integers(0, 6),
    monthly=st.integers(0, 14),
    yearly=st.integers(0, 3),
)
DAYS = st.sets(st.integers(0, 800), max_size=60).map(lambda ns: {FIRST.plus(n) for n in ns})


def same_week(first: dt.date, second: dt.date) -> bool:
    """Both between the same Monday and Sunday."""
    return first - dt.timedelta(days=first.weekday()) == second - dt.timedelta(
        days=second.weekday()
    )


SAME = {
    "daily": lambda a, b: a == b,
    "weekly": same_week,
    "monthly": lambda a, b: a.strftime("%Y%m") == b.strftime("%Y%m"),
    "yearly": lambda a, b: a.strftime("%Y") == b.strftime("%Y"),
}


def stays(day: Day, days: set[Day], rule: str, number: int) -> bool:
    """Walks back from the newest snapshot and counts periods as they change."""
    seen: list[dt.date] = []
    for other in sorted(days, reverse=True):
        if not seen or not SAME[rule](seen[-1], other.date):
            seen.append(other.date)  # the newest of another period
    oldest = [] if len(seen) >= number else [min(days).date]
    return day.date in [*seen[:number], *oldest]


@given(rules=RULES, days=DAYS)
def test_a_snapshot_stays_where_a_rule_keeps_it(rules, days):
    kept = kept_days(rules, days)
    numbers = {name: number for name, number in rules.model_dump().items() if number}
    for day in days:
        expected = {name for name, n in numbers.items() if stays(day, days, name, n)}
        assert set(kept.get(day, "").split(", ")) - {""} == (expected or (
            set() if numbers else {"no rules"}))  # fmt: skip


@given(rules=RULES, days=DAYS)
def test_deleting_twice_deletes_no_more(rules, days):
    kept = set(kept_days(rules, days))
    assert set(kept_days(rules, kept)) == kept
    assert not days or max(days) in kept


@pytest.mark.parametrize("years", [3])
def test_a_snapshot_a_day_pruned_every_day_keeps_the_ends_of_periods(years):
    """Applied daily as it is in operation: rules must find what earlier days have left them."""
    rules = SnapshotRules(daily=7, weekly=4, monthly=12, yearly=5)
    left: set[Day] = set()
    start = Day.parse("2026-03-10")
    for number in range(365 * years):
        left.add(start.plus(number))
        left = set(kept_days(rules, left))
    today = start.plus(365 * years - 1)
    assert {today.plus(-n) for n in range(7)} <= left
    for back in range(1, 12):
        month = (today.date.replace(day=1) - dt.timedelta(days=1)).replace(day=1)
        for _ in range(back - 1):
            month = (month - dt.timedelta(days=1)).replace(day=1)
        after = (month + dt.timedelta(days=32)).replace(day=1)
        assert Day(after - dt.timedelta(days=1)) in left, month
    assert {Day.parse(f"{year}-12-31") for year in (2026, 2027, 2028)} <= left
    assert start in left  # of the five years there are four
    assert len(left) <= 7 + 4 + 12 + 5 + 1
