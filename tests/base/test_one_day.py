"""When a run of many tests waits for midnight."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
from support.one_day import until_midnight


@pytest.mark.parametrize(
    ("now", "wait"),
    [
        (datetime(2026, 7, 20, 0, 0, tzinfo=UTC), timedelta(0)),
        (datetime(2026, 7, 20, 23, 40, tzinfo=UTC), timedelta(0)),
        (datetime(2026, 7, 20, 23, 40, 1, tzinfo=UTC), timedelta(minutes=19, seconds=59)),
        (datetime(2026, 12, 31, 23, 59, 59, 500000, tzinfo=UTC), timedelta(seconds=0.5)),
    ],
)
def test_a_run_that_might_meet_midnight_waits_for_it(now, wait):
    assert until_midnight(now) == wait
