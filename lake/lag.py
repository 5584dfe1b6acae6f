"""How far each dataset is from losing a row that the lake does not hold.

Belongs here: the first unproven day, and when its source deletes its first row. Does not: what a
source keeps (hot), the state of a day (status), reporting it (metrics, alerts).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from lake.base.clock import utc_now
from lake.base.day import Day
from lake.config.settings import Settings
from lake.hot import HotDays, hot_days
from lake.status import DatasetStatus

PROVEN = frozenset(("verified", "empty"))
_HOUR_S = 3600


@dataclass(frozen=True)
class Lag:
    """One dataset's.

    `first_unproven` is the oldest day that is neither verified nor empty and of which the source
    still has rows; the current day where there is none. At `goes_at` the source deletes its first
    row. `lost` are unproven days of which it has nothing any more.
    """

    dataset: str
    source: str
    first_unproven: Day
    goes_at: datetime
    today: Day
    lost: tuple[Day, ...] = ()

    @property
    def days(self) -> int:
        """Closed days from the first unproven one to yesterday."""
        return self.first_unproven.days_until(self.today)

    def hours_left(self, now: datetime) -> float:
        """Until the first unproven row goes; negative where rows are going already."""
        return (self.goes_at - now).total_seconds() / _HOUR_S


def lags(
    settings: Settings, statuses: Sequence[DatasetStatus], now: datetime | None = None
) -> list[Lag]:
    """The lag of each dataset, from the state of its days and `[hot]`."""
    now = now or utc_now()
    today = Day(now.date())
    return [
        _lag(status, hot_days(settings, status.source, today=today), now) for status in statuses
    ]


def _lag(status: DatasetStatus, hot: HotDays, now: datetime) -> Lag:
    unproven = sorted(
        day
        for day, partition in status.days.items()
        if day < hot.today and partition.state not in PROVEN
    )
    lost = tuple(day for day in unproven if hot.last_row_goes_at(day) <= now)
    first = next((day for day in unproven if day not in lost), hot.today)
    return Lag(status.dataset, status.source, first, hot.first_row_goes_at(first), hot.today, lost)
