"""Reads what the page shows.

Belongs here: which records are read, and what happens where one can't be. Does not: their
meaning, HTML.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import replace
from datetime import datetime

from lake import holds as all_holds
from lake.base.clock import utc_now
from lake.base.day import Day
from lake.base.errors import BadData
from lake.base.redaction import redact
from lake.config.settings import Settings
from lake.holds import Holds
from lake.hot import hot_days
from lake.lag import Lag, lags
from lake.rehearsals import rehearsals_of
from lake.report.facts import DatasetFacts, Facts, Guard
from lake.review.gathering import system_review
from lake.status import DatasetStatus, read_status
from lake.store import Store
from lake.systems.protocol import Source
from lake.systems.registry import backed_up_systems
from lake.ttl.terms import guarded
from lake.ttl.turn import remembered
from lake.verified import Verified, recorded


def gather(
    settings: Settings,
    store: Store,
    source_of: Callable[[str], Source] | None = None,
    now: datetime | None = None,
) -> Facts:
    """All of it. With `source_of` days inside the lateness window are re-counted at their sources.

    Raises what the store raises. Of records that can't be read `problems` has the reason.
    """
    begun, now = time.monotonic(), now or utc_now()
    problems: list[str] = []
    statuses = read_status(settings, store, source_of, today=Day(now.date()))
    holds = all_holds.of(store, settings)
    verified = _verified(store, problems)
    rehearsals, unreadable = rehearsals_of(store)
    datasets = tuple(
        _dataset(settings, status, lag, holds, verified.get(status.dataset))
        for status, lag in zip(statuses, lags(settings, statuses, now), strict=True)
    )
    guards = _guards(settings, store, problems)
    systems = [system_review(settings, store, name, holds) for name in backed_up_systems(settings)]
    problems += [*holds.problems, *unreadable]
    problems += [f"{status.dataset}: {status.problem}" for status in statuses if status.problem]
    problems += [
        f"{system.system}: snapshots: {system.problem}" for system in systems if system.problem
    ]
    return Facts(
        now,
        redact(settings.lake.root),
        source_of is not None,
        datasets,
        tuple(systems),
        holds,
        tuple(rehearsals),
        guards,
        tuple(map(redact, problems)),
        time.monotonic() - begun,
    )


def _dataset(
    settings: Settings,
    status: DatasetStatus,
    lag: Lag,
    holds: Holds,
    verified: Verified | None,
) -> DatasetFacts:
    hot = hot_days(settings, status.source)
    if status.problem:
        status = replace(status, problem=redact(status.problem))
    concerned = [hold for hold in holds.active if hold.concerns(status.dataset)]

    def holds_of(day: Day) -> tuple[str, ...]:
        return tuple(hold.id for hold in concerned if hold.covers(status.dataset, day))

    days = [*status.days, *status.retired] if concerned else []
    held = {day: ids for day in days if (ids := holds_of(day))}
    return DatasetFacts(status, lag, verified, held, hot.kept_days, hot.lateness_days)


def _verified(store: Store, problems: list[str]) -> dict[str, Verified]:
    try:
        return recorded(store)
    except BadData as error:
        problems.append(str(error))
        return {}


def _guards(settings: Settings, store: Store, problems: list[str]) -> tuple[Guard, ...]:
    """Of the datasets with [ttl] enabled."""
    datasets = guarded(settings)
    try:
        records = remembered(store).datasets if datasets else {}
    except BadData as error:
        problems.append(str(error))
        return ()
    return tuple(
        Guard(dataset.name, record.get("at"), record.get("decision"), record.get("limit_s"))
        for dataset in datasets
        for record in [records.get(dataset.name, {})]
    )
