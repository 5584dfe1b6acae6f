"""What a source still has of a day: the edges of `[hot]` and of the lateness window."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lake.base.day import Day
from lake.hot import HotDays

TODAY = Day.parse("2026-07-20")


@pytest.mark.parametrize(
    ("day", "keeps", "left"),
    [
        ("2026-07-20", True, 15),
        ("2026-07-19", True, 14),
        ("2026-07-06", True, 1),  # 14 days ago: the 15th day that is kept, today included
        ("2026-07-05", False, 0),
        ("2026-07-01", False, -4),
    ],
)
def test_a_source_that_keeps_15_days(day, keeps, left):
    hot = HotDays(kept_days=15, lateness_days=2, today=TODAY)
    assert hot.keeps(Day.parse(day)) is keeps
    assert hot.days_left(Day.parse(day)) == left


@pytest.mark.parametrize(
    ("day", "grows"),
    [("2026-07-19", True), ("2026-07-18", True), ("2026-07-15", True), ("2026-07-14", False)],
)
def test_a_day_that_grows_for_two_days_is_counted_on_three_more(day, grows):
    hot = HotDays(kept_days=15, lateness_days=2, today=TODAY)
    assert hot.may_grow(Day.parse(day)) is grows
    assert hot.is_recounted(Day.parse(day)) is grows


@given(kept=st.integers(1, 40), lateness=st.integers(0, 40), first=st.integers(0, 50))
def test_the_recounted_days_are_those_that_are_closed_and_recounted(kept, lateness, first):
    hot = HotDays(kept, lateness, TODAY)
    start = TODAY.plus(-first)
    days = [TODAY.plus(-ago) for ago in range(first, 0, -1)]
    assert hot.recounted(start) == [day for day in days if hot.is_recounted(day)]


@pytest.mark.parametrize(
    ("kept", "lateness", "last"),
    [
        (15, 2, ["2026-07-06", "2026-07-07"]),
        (8, 2, ["2026-07-13", "2026-07-14"]),
        (7, 2, ["2026-07-14"]),  # the day after it is counted anyway
        (6, 2, []),
        (1, 0, []),
        (15, -3, []),  # a snapshot's days
    ],
)
def test_a_day_is_counted_twice_more_before_it_goes(kept, lateness, last):
    hot = HotDays(kept, lateness, TODAY)
    days = [TODAY.plus(-ago) for ago in range(30, 0, -1)]
    assert [str(day) for day in days if hot.is_counted_last(day)] == last
    assert [str(day) for day in hot.counted_last()] == last
