"""What the page shows, and when each part was read.

Belongs here: values, totals, JSON. Does not: reading (gathering), HTML (page).
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from lake.base.day import Day
from lake.holds import Hold, Holds
from lake.lag import PROVEN, Lag
from lake.rehearsals import RehearsalSummary
from lake.review.review import Gap, SystemReview, gaps_of
from lake.status import DatasetStatus
from lake.verified import Verified

GROWTH_DAYS = 30


@dataclass(frozen=True)
class Guard:
    """The last guard run of a dataset with [ttl]: when, its decision, the limit that it left."""

    dataset: str
    at: str | None
    decision: str | None
    limit_s: int | None


@dataclass(frozen=True)
class DatasetFacts:
    """One dataset. `held` are its days under an active hold; `kept_days` is the number of days that
    `[hot]` records that the source keeps, `lateness_days` how long after its end a day may still
    grow.
    """

    status: DatasetStatus
    lag: Lag
    verified: Verified | None
    held: Mapping[Day, tuple[str, ...]]
    kept_days: int
    lateness_days: int

    @property
    def name(self) -> str:
        """The dataset's."""
        return self.status.dataset

    @property
    def states(self) -> Counter[str]:
        """The number of expected days by state."""
        return Counter(day.state for day in self.status.days.values())

    @property
    def gaps(self) -> tuple[Gap, ...]:
        """The days that are not proven."""
        return gaps_of({day: status.state for day, status in self.status.days.items()})

    @property
    def exported(self) -> list[Day]:
        """The days with a manifest that can be read."""
        return [day for day, status in self.status.days.items() if status.rows is not None]

    @property
    def unreadable(self) -> bool:
        """Whether a manifest can't be read: a query of the dataset is refused then."""
        days = self.status.days.values()
        return any(day.state == "damaged" and day.rows is None for day in days)

    @property
    def newest(self) -> Day | None:
        """The newest proven day."""
        days = self.status.days.items()
        return max((day for day, status in days if status.state in PROVEN), default=None)

    @property
    def exported_at(self) -> str | None:
        """When the last manifest was written."""
        times = (status.created_at for status in self.status.days.values())
        return max((time for time in times if time), default=None)

    def total(self, what: str) -> int:
        """The sum of `rows` or `bytes` over all exported days."""
        return sum(getattr(status, what) or 0 for status in self.status.days.values())

    def mean(self, what: str, today: Day) -> float | None:
        """A day's mean of `rows` or `bytes`, of the exported ones of the last 30 closed days."""
        first = today.plus(-GROWTH_DAYS)
        recent = (s for day, s in self.status.days.items() if first <= day < today)
        values = [value for s in recent if (value := getattr(s, what)) is not None]
        return sum(values) / len(values) if values else None


@dataclass(frozen=True)
class Facts:
    """`sources_read`: whether late days were re-counted. `seconds` is how long reading took."""

    at: datetime
    root: str
    sources_read: bool
    datasets: tuple[DatasetFacts, ...]
    systems: tuple[SystemReview, ...]
    holds: Holds
    rehearsals: tuple[RehearsalSummary, ...]
    guards: tuple[Guard, ...]
    problems: tuple[str, ...]
    seconds: float = 0.0

    @property
    def today(self) -> Day:
        """The UTC day on which it was read."""
        return Day(self.at.date())

    @property
    def days(self) -> tuple[int, int]:
        """Proven and expected ones, of all datasets."""
        states = [facts.states for facts in self.datasets]
        proven = sum(of[state] for of in states for state in PROVEN)
        return proven, sum(of.total() for of in states)

    def active(self) -> tuple[Hold, ...]:
        """The holds in force."""
        return self.holds.active

    def to_json(self) -> dict[str, Any]:
        """For `--json`."""
        return {
            "at": self.at.isoformat(timespec="seconds"),
            "root": self.root,
            "sources_read": self.sources_read,
            "problems": list(self.problems),
            "datasets": [self._dataset(facts) for facts in self.datasets],
            "holds": [hold.to_json() for hold in self.holds.active],
            "rehearsals": [vars(rehearsal) for rehearsal in self.rehearsals],
            "guards": [vars(guard) for guard in self.guards],
            "snapshots": [system.to_json() for system in self.systems],
        }

    def _dataset(self, facts: DatasetFacts) -> dict[str, Any]:
        lag = facts.lag
        return {
            "dataset": facts.name,
            "source": facts.status.source,
            "problem": facts.status.problem,
            "states": dict(facts.states),
            "gaps": [gap.to_json() for gap in facts.gaps],
            "held_days": len(facts.held),
            "newest_day": str(facts.newest) if facts.newest else None,
            "first_unproven": str(lag.first_unproven),
            "goes_at": lag.goes_at.isoformat(timespec="seconds"),
            "hours_left": round(lag.hours_left(self.at), 1),
            "lost": [str(day) for day in lag.lost],
            "rows": facts.total("rows"),
            "bytes": facts.total("bytes"),
            "rows_per_day_30": facts.mean("rows", self.today),
            "bytes_per_day_30": facts.mean("bytes", self.today),
            "exported_at": facts.exported_at,
            "verified": vars(facts.verified) if facts.verified else None,
        }
