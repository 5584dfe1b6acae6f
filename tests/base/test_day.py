from datetime import UTC, date, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lake.base.day import Day, day_range
from lake.base.errors import UsageError


@given(st.dates(date(1970, 1, 1), date(9999, 12, 30)))
def test_a_day_is_24_hours_of_utc_and_reads_back(date_):
    day = Day(date_)
    assert Day.parse(str(day)) == day
    assert day.start == datetime(date_.year, date_.month, date_.day, tzinfo=UTC)
    assert (day.end - day.start).total_seconds() == 86_400
    assert day.start_ms == day.start.timestamp() * 1000
    assert (day.end_ms, day.start_ns) == (day.start_ms + 86_400_000, day.start_ms * 1_000_000)
    assert day.plus(1).start == day.end


@pytest.mark.parametrize(
    "text",
    ["", "2026-7-1", "20260701", "2026-W01-1", "2026-02-30", "2026-07-01T00", "today", "٢٠٢٦-٠٧-٠١",
     "9999-12-31", " 2026-07-01"],
)  # fmt: skip
def test_other_spellings_are_refused(text):
    with pytest.raises(UsageError, match="YYYY-MM-DD"):
        Day.parse(text)


def test_ranges_are_half_open():
    first, last = Day.parse("2026-02-27"), Day.parse("2026-03-02")
    assert [str(day) for day in day_range(first, last)] == [
        "2026-02-27",
        "2026-02-28",
        "2026-03-01",
    ]
    assert list(day_range(last, first)) == []
    assert first.days_until(last) == 3
    assert first.closed
    assert not Day.today().closed
