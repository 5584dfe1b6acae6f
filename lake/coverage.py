"""Which days the lake is expected to hold.

Belongs here: the range of expected days, and the days that no export accepts. Does not: the
state of a day (status), days that may still grow (recheck).
"""

from __future__ import annotations

from collections.abc import Iterable

from lake.base.day import Day, day_range
from lake.base.errors import UsageError
from lake.config.settings import Settings


def first_expected(settings: Settings, held: Iterable[Day]) -> Day | None:
    """The first day that every dataset is expected to have; None in an empty lake.

    `[lake] first_day` where it is configured, else the oldest day that any dataset has
    (`held`): a dataset that begins later has a gap, not a later beginning.
    """
    configured = settings.lake.expected_from
    return Day(configured) if configured else min(held, default=None)


def expected_days(settings: Settings, held: Iterable[Day], today: Day) -> list[Day]:
    """The closed days from `first_expected` to the day before `today`."""
    first = first_expected(settings, held)
    return list(day_range(first, today)) if first else []


def refuse_day(settings: Settings, day: Day, *, open_day: bool = False) -> None:
    """Raises UsageError for a day before `[lake] first_day`, and as refuse_unfinished."""
    first = Day(settings.lake.first_day)
    if day < first:
        raise UsageError(
            f"{day} is before the lake's first day",
            expected=f"a UTC day from {first} on ([lake] first_day)",
            found=day,
            remedy="correct the day, or set [lake] first_day to an earlier one",
        )
    refuse_unfinished(day, open_day=open_day)


def refuse_unfinished(day: Day, *, open_day: bool = False) -> None:
    """Raises UsageError for a day that has not begun and, unless `open_day`, the current one."""
    today = Day.today()
    if day > today:
        raise UsageError(f"{day} has not begun", expected=f"a UTC day before {today}", found=day)
    if day == today and not open_day:
        raise UsageError(
            f"{day} is not over",
            expected=f"a UTC day before {today}",
            remedy="--open-day exports the current, unfinished day",
        )
