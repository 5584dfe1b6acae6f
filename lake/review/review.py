"""The contents of a review, as values and as JSON.

Belongs here: values, open points, JSON. Does not: reading (gathering), HTML (page).
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import asdict, dataclass, field
from datetime import datetime
from itertools import groupby
from typing import Any

from lake.audit import Chain, Entry
from lake.base.day import Day
from lake.rehearsals import RehearsalSummary
from lake.status import State

PROVEN: tuple[State, ...] = ("verified", "empty")


@dataclass(frozen=True)
class Gap:
    """Days in a row that are not proven for one reason; `last` is inclusive."""

    state: State
    first: Day
    last: Day

    @property
    def days(self) -> int:
        """How many."""
        return self.first.days_until(self.last) + 1

    def __str__(self) -> str:
        if self.first == self.last:
            return f"{self.first} {self.state}"
        return f"{self.first} to {self.last} {self.state} ({self.days} days)"

    def to_json(self) -> dict[str, Any]:
        """For `--json`."""
        return {"state": self.state, "first": str(self.first), "last": str(self.last)}


@dataclass(frozen=True)
class DatasetReview:
    """One dataset. `days` are those with a manifest; `states` counts all expected days by state.

    `kept` is for how long the lake keeps tables and rollups, `hot` what the source keeps.
    `verified` is the last `lake verify --record`, None where there was none. `holds` are ids.
    `retired` are the days that retention has deleted, which are not expected. `rules` are those of
    its columns, `other_rules` the days that were exported under others.
    """

    dataset: str
    source: str
    first: Day | None
    last: Day | None
    days: int
    rows: int
    bytes: int
    states: dict[str, int]
    gaps: tuple[Gap, ...]
    kept: str
    hot: str
    holds: tuple[str, ...]
    verified: dict[str, Any] | None
    retired: tuple[Day, ...] = ()
    rules: tuple[str, ...] = ()
    other_rules: tuple[Day, ...] = ()

    def to_json(self) -> dict[str, Any]:
        """For `--json`."""
        return {
            **asdict(self),
            "first": str(self.first) if self.first else None,
            "last": str(self.last) if self.last else None,
            "gaps": [gap.to_json() for gap in self.gaps],
            "holds": list(self.holds),
            "retired": self._retired_json(),
            "rules": list(self.rules),
            "other_rules": [str(day) for day in self.other_rules],
        }

    def _retired_json(self) -> dict[str, Any] | None:
        if not self.retired:
            return None
        first, last = min(self.retired), max(self.retired)
        return {"days": len(self.retired), "first": str(first), "last": str(last)}


@dataclass(frozen=True)
class SystemReview:
    """The snapshots of one system. `problem` is why the newest can't be read."""

    system: str
    snapshots: int
    first: Day | None
    last: Day | None
    taken_at: str | None
    newest_whole: Day | None
    kept: str
    holds: tuple[str, ...]
    problem: str = ""

    def to_json(self) -> dict[str, Any]:
        """For `--json`."""
        days = {name: getattr(self, name) for name in ("first", "last", "newest_whole")}
        return {
            **asdict(self),
            **{name: str(day) if day else None for name, day in days.items()},
            "holds": list(self.holds),
        }


@dataclass(frozen=True)
class HoldReview:
    """A hold; `released` is empty while it is active."""

    id: str
    datasets: tuple[str, ...]
    days: str
    reason: str
    who: str
    at: str
    released: str = ""


@dataclass(frozen=True)
class RetentionReview:
    """Whether `[retention]` deletes, when `lake retention apply` last ended, None for never, and
    the ids of deletions that were interrupted.
    """

    enabled: bool
    last_run: str | None
    interrupted: tuple[str, ...]


@dataclass(frozen=True)
class ErasureReview:
    """One `lake erase`. `rows` and `days` are those that were erased and rewritten; `left` the days
    that were to be rewritten and were not. `interrupted`: it did not come to its end.
    """

    id: str
    dataset: str
    at: str
    who: str
    reason: str
    rows: int
    days: int
    left: tuple[str, ...]
    interrupted: bool


@dataclass(frozen=True)
class Review:
    """`since` is the entry of the last review, None for the first one. `changes` are the audit
    entries after it, without those of reviews. `erasures` are those since then, and older ones that
    were interrupted. `sources_read`: whether late days were re-counted.
    """

    at: datetime
    who: str
    root: str
    since: Entry | None
    sources_read: bool
    datasets: list[DatasetReview]
    systems: list[SystemReview]
    holds: list[HoldReview]
    changes: list[Entry]
    rehearsals: list[RehearsalSummary]
    chain: Chain
    retention: RetentionReview
    problems: tuple[str, ...] = field(default=())
    erasures: tuple[ErasureReview, ...] = field(default=())

    def open_points(self) -> list[str]:
        """What a person has to decide or fix, the worst first."""
        return list(_open_points(self))

    def to_json(self) -> dict[str, Any]:
        """For `--json`."""
        return {
            "at": self.at.isoformat(timespec="seconds"),
            "who": self.who,
            "root": self.root,
            "since": self.since and {"at": self.since.at, "entry": self.since.sequence},
            "sources_read": self.sources_read,
            "open_points": self.open_points(),
            "datasets": [dataset.to_json() for dataset in self.datasets],
            "snapshots": [system.to_json() for system in self.systems],
            "holds": [{**asdict(hold), "datasets": list(hold.datasets)} for hold in self.holds],
            "changes": [vars(entry) for entry in self.changes],
            "erasures": [
                {**asdict(erasure), "left": list(erasure.left)} for erasure in self.erasures
            ],
            "rehearsals": [asdict(rehearsal) for rehearsal in self.rehearsals],
            "retention": {
                **asdict(self.retention),
                "interrupted": list(self.retention.interrupted),
            },
            "audit": self.chain.to_json(),
        }


def gaps_of(states: dict[Day, State]) -> tuple[Gap, ...]:
    """The days that are not proven, consecutive ones of one state together."""
    open_days = sorted(day for day, state in states.items() if state not in PROVEN)

    def run(pair: tuple[int, Day]) -> tuple[int, State]:
        number, day = pair
        return day.date.toordinal() - number, states[day]

    groups = (list(group) for _, group in groupby(enumerate(open_days), run))
    return tuple(Gap(states[days[0][1]], days[0][1], days[-1][1]) for days in groups)


def _open_points(review: Review) -> Iterator[str]:
    yield from (f"audit log: {problem}" for problem in review.chain.problems)
    yield from review.problems
    for dataset in review.datasets:
        for gap in dataset.gaps:
            yield f"{dataset.dataset}: {gap}"
        if dataset.other_rules:
            many = len(dataset.other_rules)
            yield (
                f"{dataset.dataset}: {many} {'day was' if many == 1 else 'days were'} exported "
                "under other column rules (lake export --force)"
            )
        if not dataset.days:
            yield f"{dataset.dataset}: nothing is exported"
        elif dataset.verified is None:
            yield f"{dataset.dataset}: never verified (lake verify --record)"
        elif dataset.verified["failures"]:
            yield (
                f"{dataset.dataset}: the last verification found a difference in "
                f"{dataset.verified['failures']} of {dataset.verified['partitions']} days, "
                f"the first on {dataset.verified['first']}"
            )
    for system in review.systems:
        if system.problem:
            yield f"snapshots of {system.system}: {system.problem}"
        elif not system.snapshots:
            yield f"snapshots of {system.system}: none"
    for deletion in review.retention.interrupted:
        yield f"the deletion {deletion} was interrupted (lake retention apply completes it)"
    yield from _unfinished_erasures(review)
    newest = review.rehearsals[0] if review.rehearsals else None
    if newest is None:
        yield "no rehearsal (lake rehearse)"
    elif not newest.ok:
        yield f"the rehearsal of {newest.day} failed"


def _unfinished_erasures(review: Review) -> Iterator[str]:
    for erasure in review.erasures:
        if erasure.interrupted or erasure.left:
            what = "was interrupted" if erasure.interrupted else "failed"
            yield (
                f"{erasure.dataset}: the erasure {erasure.id} {what}, days with rows left: "
                f"{', '.join(erasure.left)} (run the same lake erase again)"
            )
