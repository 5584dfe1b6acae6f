"""What a source still has of a day, and whether the day may still change there.

Belongs here: every decision by `[hot]` and `lateness_days`. Does not: counting, exporting, what
follows from a decision.

A source keeps the last `[hot] SOURCE` days whole. For `lateness_days` after its end a day may
still grow. It is counted again on each of these days and on three more: only a count after the
window has closed has seen the last rows, and a source may not answer for a night or two. It is
counted once more on the last two days on which the source keeps it whole: rows that came later
than the window, or during a longer outage, are seen before they go. It is not counted while it is
being deleted, for it would only look as if it had shrunk.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from lake.base.day import Day, day_range
from lake.config.settings import Settings

FINAL_COUNTS = 3
"""Counts of a day after its lateness window; one of them has to succeed."""
LAST_COUNTS = 2
"""Counts of a day right before its source deletes it."""


@dataclass(frozen=True)
class HotDays:
    """The days of one source, as of `today`."""

    kept_days: int
    lateness_days: int
    today: Day

    @property
    def counted_days(self) -> int:
        """The greatest age in days at which a day is counted again."""
        return self.lateness_days + FINAL_COUNTS

    def keeps(self, day: Day) -> bool:
        """Whether the source keeps all of the day, according to `[hot]`."""
        return self.days_left(day) > 0

    def days_left(self, day: Day) -> int:
        """Days for which the source still keeps the day whole, today included; 0 or less: none."""
        return self.kept_days - day.days_until(self.today)

    def first_row_goes_at(self, day: Day) -> datetime:
        """When the source deletes the first row of the day."""
        return day.plus(self.kept_days).start

    def last_row_goes_at(self, day: Day) -> datetime:
        """When the source has nothing of the day any more."""
        return self.first_row_goes_at(day.plus(1))

    def may_grow(self, day: Day) -> bool:
        """Whether late rows may arrive, or have arrived, that no count has seen."""
        return day.days_until(self.today) <= self.counted_days

    def is_recounted(self, day: Day) -> bool:
        """Whether another count of the day is meaningful."""
        return self.may_grow(day) and self.keeps(day)

    def is_counted_last(self, day: Day) -> bool:
        """Whether the source is about to delete the day. More rows than before are late ones; fewer
        may have been deleted on purpose, and are no finding.
        """
        is_over = not self.may_grow(day) and self.lateness_days >= 0
        return is_over and 0 < self.days_left(day) <= LAST_COUNTS

    def recounted(self, first: Day) -> list[Day]:
        """The closed days from `first` on that are re-counted, oldest first."""
        watched = min(self.counted_days, self.kept_days - 1)
        return list(day_range(max(self.today.plus(-watched), first), self.today))

    def counted_last(self) -> list[Day]:
        """The days that are counted last, oldest first."""
        days = (self.today.plus(left - self.kept_days) for left in range(1, LAST_COUNTS + 1))
        return [day for day in days if self.is_counted_last(day)]


def hot_days(
    settings: Settings,
    source: str,
    *,
    today: Day | None = None,
    lateness_days: int | None = None,
) -> HotDays:
    """Those of the source of that name; `lateness_days` by default of its section, else 0."""
    if lateness_days is None:
        section = getattr(settings.sources, source)
        lateness_days = section.lateness_days if section else 0
    return HotDays(getattr(settings.hot, source), lateness_days, today or Day.today())


def has_begun_to_go(settings: Settings, source: str, day: Day, today: Day) -> bool:
    """Whether the source kept the day whole as of `today`, and a midnight since has ended that:
    fewer rows than before are then no finding.
    """
    kept = hot_days(settings, source, today=today).keeps(day)
    return kept and not hot_days(settings, source).keeps(day)


def late_days(settings: Settings, source: str, today: Day | None = None) -> list[Day]:
    """The closed days whose last count is not final and that the source keeps whole, oldest first.

    Days that are not exported yet are among them. None before `[lake] first_day`; none where
    the source is not configured.
    """
    if getattr(settings.sources, source) is None:
        return []
    return hot_days(settings, source, today=today).recounted(Day(settings.lake.first_day))
