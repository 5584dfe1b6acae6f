"""UTC days, half-open: the partition key everywhere.

Belongs here: parsing and ranges of days. Does not: time zones other than UTC.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta

from lake.base.clock import utc_now
from lake.base.errors import UsageError

ONE_DAY = timedelta(days=1)


@dataclass(frozen=True, order=True)
class Day:
    """The UTC day [00:00, 24:00)."""

    date: date

    @classmethod
    def parse(cls, text: str) -> Day:
        """YYYY-MM-DD, before the last day of year 9999. Raises UsageError."""
        try:
            day = date.fromisoformat(text)
        except ValueError:
            day = date.max
        # fromisoformat takes other spellings, too, and date.max has no day after it.
        if day == date.max or day.isoformat() != text:
            raise UsageError("not a day", expected="YYYY-MM-DD, a UTC day", found=repr(text))
        return cls(day)

    @classmethod
    def today(cls) -> Day:
        """The UTC day that is not closed yet."""
        return cls(utc_now().date())

    @property
    def start(self) -> datetime:
        """00:00 UTC, inclusive."""
        return datetime(self.date.year, self.date.month, self.date.day, tzinfo=UTC)

    @property
    def end(self) -> datetime:
        """24:00 UTC, exclusive."""
        return self.start + ONE_DAY

    @property
    def start_ms(self) -> int:
        """Milliseconds since the epoch, inclusive."""
        return (self.date - date(1970, 1, 1)).days * 86_400_000

    @property
    def end_ms(self) -> int:
        """Milliseconds since the epoch, exclusive."""
        return self.start_ms + 86_400_000

    @property
    def start_ns(self) -> int:
        """Nanoseconds since the epoch, inclusive."""
        return self.start_ms * 1_000_000

    @property
    def end_ns(self) -> int:
        """Nanoseconds since the epoch, exclusive."""
        return self.end_ms * 1_000_000

    @property
    def closed(self) -> bool:
        """Whether the day is over."""
        return self < Day.today()

    def plus(self, days: int) -> Day:
        """The day `days` days later (earlier when negative)."""
        return Day(self.date + timedelta(days=days))

    def days_until(self, other: Day) -> int:
        """How many days later `other` is."""
        return (other.date - self.date).days

    def __str__(self) -> str:
        return self.date.isoformat()


def require_range(start: Day | None, end: Day | None) -> None:
    """Raises UsageError unless `start` is before `end`, the exclusive end day; None is open."""
    if start and end and not start < end:
        raise UsageError(
            "an empty range of days",
            expected="--from before --to, which is exclusive",
            found=f"--from {start}, --to {end}",
        )


def day_range(start: Day, end: Day) -> Iterator[Day]:
    """The days from start to end (exclusive)."""
    for offset in range(max(0, start.days_until(end))):
        yield start.plus(offset)
