"""The story of the demo's window: growth, rhythm, one deploy, one outage.

Belongs here: when something happens, and when nothing can. Does not: single requests
(dialogue), and what any system records of them (documents, metrics, logs).

Times are milliseconds since the epoch, UTC. What keeps every source's totals equal, for
the window and for each day of it:

1. Prometheus scrapes at full minutes, the first time of a day at 00:00, the last at 23:59.
2. Nobody is served in a `Pause`: the last minute of a day, and from the last scrape before
   a restart to the first one after it. So each day's requests lie between two of its own
   scrapes, and every counter is seen at its final value before it starts again from 0.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from itertools import accumulate

from lake.base.day import Day, day_range

SEED = 20_260_921
SCRAPE_S = 60
SCRAPE_MS = SCRAPE_S * 1000
HOUR_MS = 3_600_000
_MINUTE_MS = 60_000

# Sessions a day in the middle of the window at scale 1, and how they are spread over the UTC hours.
# The callers live in Seoul (UTC+9): their evening is 10-14 UTC, their night 16-22 UTC.
_SESSIONS = 84.0
_GROWTH = 0.6
_WEEKDAY_HOURS = (5, 4, 4, 5, 5, 4, 4, 4, 5, 7, 9, 11, 12, 11, 8, 5, 3, 2, 1, 1, 1, 2, 4, 6)
_WEEKEND_HOURS = (4, 6, 7, 7, 7, 7, 7, 7, 7, 8, 8, 9, 9, 9, 8, 6, 4, 3, 2, 1, 1, 1, 2, 3)
_WEEKEND_FACTOR = 1.22


@dataclass(frozen=True)
class Pause:
    """(start, end]: no request is begun, under way or finished."""

    start_ms: int
    end_ms: int

    def touches(self, started_ms: int, finished_ms: int) -> bool:
        """Whether a request of that span would be seen in the pause."""
        return started_ms <= self.end_ms and finished_ms > self.start_ms


@dataclass(frozen=True)
class Restart:
    """The service stops and starts again; its counters begin at 0."""

    stop_ms: int
    ready_ms: int
    reason: str


@dataclass(frozen=True)
class Outage:
    """The LLM provider fails from `start_ms` to `end_ms`; in between the service is down."""

    start_ms: int
    down_ms: int
    up_ms: int
    end_ms: int


@dataclass(frozen=True)
class Scenario:
    """What happens in the UTC days [first, first + days). Equal scenarios, equal history.

    `scale` multiplies sessions and users.
    """

    first: Day
    days: int
    seed: int = SEED
    scale: int = 1

    @property
    def end(self) -> Day:
        """The day after the last one."""
        return self.first.plus(self.days)

    def each_day(self) -> Iterator[Day]:
        """The days of the window in order."""
        return day_range(self.first, self.end)

    @property
    def deploy_day(self) -> Day:
        """At two thirds of the window."""
        return self.first.plus(self.days * 2 // 3)

    @property
    def outage_day(self) -> Day:
        """At 85% of the window."""
        return self.first.plus(self.days * 17 // 20)

    @cached_property
    def deploy(self) -> Restart:
        """Release 2.4.0, at 05:30 UTC: speech synthesis is slower from then on."""
        at = self.deploy_day.start_ms + 5 * HOUR_MS + 30 * _MINUTE_MS
        return Restart(at + 20_000, at + 52_000, "deploy")

    @cached_property
    def outage(self) -> Outage:
        """11:20 to 12:00 UTC; no scrape answers between 11:40 and 11:50."""
        at = self.outage_day.start_ms + 11 * HOUR_MS
        minutes = [at + m * _MINUTE_MS for m in (20, 40, 50, 60)]
        return Outage(*minutes)

    @cached_property
    def restarts(self) -> tuple[Restart, ...]:
        """In order of time."""
        outage = self.outage
        recovery = Restart(outage.down_ms + 5_000, outage.up_ms - 12_000, "outage")
        return tuple(sorted((self.deploy, recovery), key=lambda restart: restart.stop_ms))

    def pauses(self, day: Day) -> list[Pause]:
        """Those of the day, its last minute included."""
        pauses = [Pause(day.end_ms - SCRAPE_MS, day.end_ms)]
        for restart in self.restarts:
            if day.start_ms <= restart.stop_ms < day.end_ms:
                before = restart.stop_ms // SCRAPE_MS * SCRAPE_MS
                after = -(-restart.ready_ms // SCRAPE_MS) * SCRAPE_MS
                pauses.append(Pause(before, after))
        return pauses

    def scrapes(self, day: Day) -> list[int]:
        """When Prometheus got an answer that day."""
        outage = self.outage
        return [
            at
            for at in range(day.start_ms, day.end_ms, SCRAPE_MS)
            if not outage.down_ms < at < outage.up_ms
        ]

    def release(self, at_ms: int) -> str:
        """The service's version at that time."""
        return "2.3.1" if at_ms < self.deploy.stop_ms else "2.4.0"

    def expected_sessions(self, day: Day) -> float:
        """The mean number of sessions, chance left out."""
        through = self.first.days_until(day) / max(1, self.days - 1) - 0.5
        weekend = _WEEKEND_FACTOR if is_weekend(day) else 1.0
        return self.scale * _SESSIONS * (1 + _GROWTH * through) * weekend


def is_weekend(day: Day) -> bool:
    """Saturday or Sunday. Seoul's date is the same until 15:00 UTC, and then it sleeps."""
    return day.date.weekday() >= 5


def hour_weights(day: Day) -> list[int]:
    """Cumulative weight of each UTC hour."""
    return list(accumulate(_WEEKEND_HOURS if is_weekend(day) else _WEEKDAY_HOURS))


def minute_of(at_ms: int) -> int:
    """The start of the minute."""
    return at_ms // _MINUTE_MS * _MINUTE_MS
