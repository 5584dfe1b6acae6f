"""The time around an instant, and the time before that it is compared with.

Belongs here: bounds and UTC days. Does not: SQL.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta

from lake.base.day import Day, day_range

_STEPS_S = (60, 120, 300, 600, 900, 1800, 3600)
_MAX_BARS = 60


@dataclass(frozen=True)
class IncidentWindow:
    """[at - around, at + around), UTC; `around` is above 0 and at most 12 hours."""

    at: datetime
    around: timedelta

    @property
    def start(self) -> datetime:
        """The first instant."""
        return self.at - self.around

    @property
    def end(self) -> datetime:
        """The instant after the last one."""
        return self.at + self.around

    @property
    def before(self) -> datetime:
        """Where the time before begins: as long as the window, and ends with its start."""
        return self.start - 2 * self.around

    @property
    def day(self) -> Day:
        """The UTC day of the instant."""
        return Day(self.at.date())

    @property
    def days(self) -> list[Day]:
        """The UTC days of the window."""
        return _days(self.start, self.end)

    @property
    def compared_days(self) -> list[Day]:
        """The UTC days of the window and of the time before."""
        return _days(self.before, self.end)

    @property
    def step(self) -> timedelta:
        """The width of a bar in its plots: whole minutes, at most 60 bars."""
        wanted = 2 * self.around.total_seconds() / _MAX_BARS
        seconds = next((step for step in _STEPS_S if step >= wanted), _STEPS_S[-1])
        return timedelta(seconds=seconds)


def _days(start: datetime, end: datetime) -> list[Day]:
    last = end - timedelta(microseconds=1)
    return list(day_range(Day(start.date()), Day(last.date()).plus(1)))
