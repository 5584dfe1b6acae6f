"""What is late: an asset with the overview, and of each table two checks.

Belongs here: which day is due, texts and numbers for Dagster. Does not: the state of a day
(lake.status), when a source deletes it (lake.lag).

All of it is read from the store, not from Dagster's events: a partition that was dropped or
damaged outside of Dagster is late, though its event is there.
"""

# No `from __future__ import annotations` here: Dagster reads the asset's annotations as types.

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

import dagster as dg

from assets.failing import as_failures
from assets.names import asset_name
from assets.resources import LakeResource
from lake.base.clock import utc_now
from lake.base.day import Day, day_range
from lake.config.settings import Settings
from lake.lag import PROVEN, Lag, lags
from lake.query.cached_store import cached_store
from lake.snapshots.holding import spans
from lake.status import DatasetStatus, read_status
from lake.store import Store

NAME = "lake_status"
CHECKS = "read_days"  # the op
NO_DAY_MISSING = "no_day_missing"
NEWEST_DAY_ON_TIME = "newest_day_on_time"
DUE_HOUR = 6  # o'clock UTC: exports, re-counts and guard of the night are over (schedules)
_FRESH_FOR = timedelta(hours=3)  # it is read every hour
_URGENT_H = 24.0
_PLOTTED_DAYS = 14
_WEEK = 7  # as many days as fit beside the other columns: Dagster cuts the rest of a cell
_BARS = "▁▂▃▄▅▆▇█"
_NO_DAY = "·"
_STATES = ("missing", "late", "differs", "damaged")
_DESCRIPTIONS = {
    NO_DAY_MISSING: "Every closed UTC day that is due is in the lake with as many rows as the "
    "source counted, by the manifests. Yesterday is due from 06:00 UTC on.",
    NEWEST_DAY_ON_TIME: "The newest day that is due is in the lake: from 06:00 UTC on yesterday, "
    "before that the day before.",
}


@dataclass(frozen=True)
class TableState:
    """One table's days that are expected and due at `at`, by its manifests."""

    status: DatasetStatus
    lag: Lag
    at: datetime

    @property
    def due(self) -> Day:
        """The newest day that has to be there."""
        return newest_due(self.at)

    @property
    def states(self) -> dict[Day, str]:
        """Day → state, of the days that are due."""
        return {day: s.state for day, s in self.status.days.items() if day <= self.due}

    @property
    def unproven(self) -> dict[Day, str]:
        """Those that are not proven."""
        return {day: state for day, state in self.states.items() if state not in PROVEN}

    @property
    def newest(self) -> Day | None:
        """The newest proven day."""
        days = self.status.days.items()
        return max((day for day, s in days if s.state in PROVEN), default=None)

    @property
    def hours_left(self) -> float | None:
        """Until the source deletes the first row that the lake lacks; None where it lacks none
        that the source still has.
        """
        waiting = set(self.unproven) - set(self.lag.lost)
        return round(self.lag.hours_left(self.at), 1) if waiting else None

    @property
    def urgent(self) -> bool:
        """Whether rows are lost, or will be within a day."""
        left = self.hours_left
        lost = set(self.lag.lost) & set(self.unproven)
        return bool(lost) or (left is not None and left <= _URGENT_H)


def newest_due(at: datetime) -> Day:
    """Yesterday from 06:00 UTC on, before that the day before."""
    return Day((at - timedelta(hours=DUE_HOUR)).date()).plus(-1)


def table_states(settings: Settings, store: Store, now: datetime | None = None) -> list[TableState]:
    """The state of every table, without a request to a source. Raises what the store raises."""
    now = now or utc_now()
    statuses = read_status(settings, cached_store(settings, store), None, today=Day(now.date()))
    both = zip(statuses, lags(settings, statuses, now), strict=True)
    return [TableState(status, lag, now) for status, lag in both]


def status_asset(settings: Settings) -> dg.AssetsDefinition:
    """Not partitioned: what is late now."""

    @dg.asset(
        name=NAME,
        freshness_policy=dg.FreshnessPolicy.time_window(_FRESH_FOR),
        deps=[dg.AssetKey(asset_name(dataset.name)) for dataset in settings.dataset],
        description=(
            "Lists the days of each table that are missing, late or damaged, and how long the "
            "sources still have them. Read from the manifests every hour, not from the sources."
        ),
        group_name=NAME,
        kinds={"markdown"},
        owners=["team:monitoring"],
        metadata={"root": settings.lake.root},
    )
    def lake_status(
        context: dg.AssetExecutionContext, lake: LakeResource
    ) -> dg.MaterializeResult[None]:
        with as_failures(context.run.run_id):
            states = table_states(settings, lake.store(settings))
        return dg.MaterializeResult(metadata=_metadata(settings, states))

    return lake_status


def check_keys(settings: Settings) -> list[dg.AssetCheckKey]:
    """The keys of both checks of all tables."""
    return [
        dg.AssetCheckKey(dg.AssetKey(asset_name(dataset.name)), name)
        for dataset in settings.dataset
        for name in _DESCRIPTIONS
    ]


def status_checks(settings: Settings) -> dg.AssetChecksDefinition:
    """Both checks of all tables: one read of the manifests for all.

    A run that exports days skips them: a table's step has events of days, and no output that a
    check could wait for.
    """
    specs = [
        dg.AssetCheckSpec(key.name, asset=key.asset_key, description=_DESCRIPTIONS[key.name])
        for key in check_keys(settings)
    ]

    @dg.multi_asset_check(
        name=CHECKS,
        specs=specs,
        can_subset=True,
        description="The days of the tables, by their manifests.",
    )
    def read_days(
        context: dg.AssetCheckExecutionContext, lake: LakeResource
    ) -> Iterator[dg.AssetCheckResult]:
        wanted = context.selected_asset_check_keys
        with as_failures(context.run.run_id):
            read = table_states(settings, lake.store(settings))
        states = {state.status.dataset: state for state in read}
        for dataset in settings.dataset:
            key = dg.AssetKey(asset_name(dataset.name))
            for name, result in _RESULTS.items():
                if dg.AssetCheckKey(key, name) in wanted:
                    yield result(states[dataset.name])

    return read_days


def _no_day_missing(state: TableState) -> dg.AssetCheckResult:
    unproven = state.unproven
    lost = [day for day in state.lag.lost if day in unproven]
    text = f"{_spans(unproven)}{_hours(state)}" if unproven else None
    counts = Counter(unproven.values())
    metadata: dict[str, dg.MetadataValue] = {
        "days": dg.MetadataValue.int(len(state.states)),
        **{name: dg.MetadataValue.int(counts[name]) for name in _STATES},
        "lost": dg.MetadataValue.int(len(lost)),
        "rows_a_day": dg.MetadataValue.md(_plot(state)),
    }
    if (left := state.hours_left) is not None:
        metadata["hours_left"] = dg.MetadataValue.float(left)
    return _result(state, NO_DAY_MISSING, text, metadata)


def _newest_day_on_time(state: TableState) -> dg.AssetCheckResult:
    on_time = state.due not in state.unproven and state.due in state.states
    # A lake that begins today has no day that is due.
    on_time |= not state.states and not state.status.retired and state.newest is not None
    text = None if on_time else f"{state.due} is due, newest: {state.newest or 'none'}"
    shown = {"due": str(state.due), "newest": str(state.newest or "none")}
    metadata: dict[str, dg.MetadataValue] = {
        name: dg.MetadataValue.text(value) for name, value in shown.items()
    }
    if state.newest:
        behind = max(state.newest.days_until(state.due), 0)
        metadata["days_behind"] = dg.MetadataValue.int(behind)
    return _result(state, NEWEST_DAY_ON_TIME, text, metadata)


def _result(
    state: TableState, name: str, problem: str | None, metadata: dict[str, dg.MetadataValue]
) -> dg.AssetCheckResult:
    severity = dg.AssetCheckSeverity.ERROR if state.urgent else dg.AssetCheckSeverity.WARN
    return dg.AssetCheckResult(
        passed=problem is None,
        asset_key=asset_name(state.status.dataset),
        check_name=name,
        severity=severity,
        description=problem,
        metadata=metadata,
    )


_RESULTS = {NO_DAY_MISSING: _no_day_missing, NEWEST_DAY_ON_TIME: _newest_day_on_time}


def _metadata(settings: Settings, states: Sequence[TableState]) -> dict[str, dg.MetadataValue]:
    """Numbers are lines in Dagster's plots."""
    counts = Counter(day for state in states for day in state.states.values())
    lefts = [left for state in states if (left := state.hours_left) is not None]
    metadata: dict[str, dg.MetadataValue] = {
        "late_days": dg.MetadataValue.md(_late(states)),
        "tables": dg.MetadataValue.md(_tables(states)),
        "proven": dg.MetadataValue.int(sum(counts[name] for name in PROVEN)),
        **{name: dg.MetadataValue.int(counts[name]) for name in _STATES},
        "lost": dg.MetadataValue.int(
            sum(day in state.unproven for state in states for day in state.lag.lost)
        ),
    }
    if lefts:
        metadata["hours_left"] = dg.MetadataValue.float(min(lefts))
    if settings.report.url:
        metadata["report"] = dg.MetadataValue.url(settings.report.url)
    return metadata


def _late(states: Sequence[TableState]) -> str:
    days = sum(len(state.states) for state in states)
    late = [state for state in states if state.unproven]
    if not late:
        return f"Nothing is late: {days:,} of {days:,} days are proven."
    lines = ["| table | late | first | hours left |", "| --- | --- | --- | ---: |"]
    for state in sorted(late, key=lambda state: (state.hours_left is None, state.hours_left or 0)):
        left = state.hours_left
        hours = "gone" if left is None else f"{left:,.0f}" if left >= 0 else "being deleted"
        counts = Counter(state.unproven.values())
        each = ", ".join(f"{counts[name]:,} {name}" for name in _STATES if counts[name])
        lines.append(f"| {state.status.dataset} | {each} | {min(state.unproven)} | {hours} |")
    return "\n".join(lines)


def _tables(states: Sequence[TableState]) -> str:
    lines = ["| table | proven | newest | rows, 7 days |", "| --- | ---: | --- | --- |"]
    for state in states:
        proven = len(state.states) - len(state.unproven)
        newest = str(state.newest or "none")
        plot = f"`{_rows_of(state, _plotted(state)[-_WEEK:])}`"
        lines.append(
            f"| {state.status.dataset} | {proven:,}/{len(state.states):,} | {newest} | {plot} |"
        )
    return "\n".join(lines)


def _plot(state: TableState) -> str:
    days = _plotted(state)
    most = max((s.rows or 0 for day in days if (s := state.status.days.get(day))), default=0)
    return f"`{_rows_of(state, days)}`\n\n{days[0]} to {days[-1]}, highest {most:,}"


def _rows_of(state: TableState, days: Sequence[Day]) -> str:
    statuses = [state.status.days.get(day) for day in days]
    return bars([status.rows if status else None for status in statuses])


def _plotted(state: TableState) -> list[Day]:
    last = Day(state.at.date())
    return list(day_range(last.plus(-_PLOTTED_DAYS), last))


def bars(values: Sequence[int | None]) -> str:
    """A character for each value, from 0 to the greatest; a dot where there is none."""
    most = max((value for value in values if value is not None), default=0) or 1
    top = len(_BARS) - 1
    return "".join(
        _NO_DAY if value is None else _BARS[round(value / most * top)] for value in values
    )


def _hours(state: TableState) -> str:
    left = state.hours_left
    if left is None:
        return "; the source has nothing of these days any more"
    if left < 0:
        return f"; the source has been deleting rows of them for {-left:,} hours"
    return f"; the source has all of them for {left:,} hours more"


def _spans(states: dict[Day, str]) -> str:
    """`2 missing (2026-07-01 … 2026-07-02), 1 damaged (2026-07-09)`."""
    parts = []
    for name in dict.fromkeys(states[day] for day in sorted(states)):
        days = [day for day in states if states[day] == name]
        parts.append(f"{len(days):,} {name} ({spans(days)})")
    return ", ".join(parts)
