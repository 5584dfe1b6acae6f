"""What the ledger alone shows to be wrong.

Belongs here: thresholds, texts with the hour at which rows go. Does not: failures of runs
(failures), the same rules for Prometheus (deploy/prometheus/rules).
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import datetime, timedelta
from typing import Literal

from lake.alerts.alert import Alert, Severity
from lake.alerts.causes import DAMAGED, DIFFERS, EXPIRING, LOST, NO_EXPORT, NO_EXPORT_FOR, SILENT
from lake.alerts.failures import labels_of_days, labels_of_lake, labels_of_records
from lake.base.clock import utc_now
from lake.base.day import Day
from lake.base.sizes import counted
from lake.config.settings import Settings
from lake.hot import HotDays, hot_days
from lake.lag import PROVEN
from lake.status import DatasetStatus, State, read_status
from lake.store import Store
from lake.ttl.silence import silences
from lake.verified import RECORDS, recorded

_HOUR_S = 3600
_LOST = 3  # the stage of rows that a source has deleted
_WRONG: tuple[tuple[Literal["damaged", "differs"], str, Severity, str, str], ...] = (
    ("damaged", DAMAGED, "critical", "is damaged", "are damaged"),
    ("differs", DIFFERS, "warning", "differs", "differ"),
)
_LOST_DAYS = 7  # they never come back: an alert that never ended would hide the next one


def conditions(settings: Settings, store: Store, now: datetime | None = None) -> list[Alert]:
    """What is wrong now, from manifests; no request to a source. Raises what the store raises."""
    now = now or utc_now()
    statuses = read_status(settings, store, None, today=Day(now.date()))
    return [
        *(alert for status in statuses for alert in _at_risk(settings, status, now)),
        *(alert for status in statuses for alert in _damaged(settings, status, now)),
        *_no_success(statuses, now),
        *_silent_guards(settings, store, now),
        *_failed_verifications(settings, store, statuses),
    ]


def unreadable(what: str, text: str) -> Alert:
    """Where the store does not answer: whatever else fails by the same error is the same cause."""
    summary = f"the lake can't be read: {what}"
    return Alert("LakeUnreadable", "critical", summary, text, labels_of_lake(what))


def _at_risk(settings: Settings, status: DatasetStatus, now: datetime) -> Iterator[Alert]:
    """Of days without rows in the lake. Those that are damaged or differ have alerts of their own,
    with the hour.
    """
    name, source = status.dataset, status.source
    labels = {"dataset": name, "source": source}
    hot, today = hot_days(settings, source, today=Day(now.date())), Day(now.date())
    days = [
        day
        for day, partition in sorted(status.days.items())
        if day < today and partition.state not in {*PROVEN, "damaged", "differs"}
    ]
    lost = [day for day in days if hot.last_row_goes_at(day) <= now]
    ahead = days[len(lost) :]
    if ahead and (alert := _expiring(settings, status, hot, ahead, now)):
        yield alert
    recent = [day for day in lost if day.days_until(today) <= hot.kept_days + _LOST_DAYS]
    if recent:
        number_lost = counted(len(recent), "unproven day")
        yield Alert(
            LOST,
            "critical",
            f"{name}: {source} has deleted {number_lost} ({_span(recent)})",
            "remedy: `lake snapshots` lists snapshots that may hold them",
            labels,
            started_at=now,
            stage=_LOST,
        )


def _expiring(
    settings: Settings, status: DatasetStatus, hot: HotDays, days: Sequence[Day], now: datetime
) -> Alert | None:
    """Of missing days; None while there is time.

    Where a dataset is no longer exported, nobody has counted the last days before the first that is
    missing again: late rows of theirs go as early as `lateness_days` before. Whether there are any
    is not known: no more than a warning.
    """
    name, source, first = status.dataset, status.source, days[0]
    goes, late = hot.first_row_goes_at(first), 0
    stage = _stage_at(settings, goes, now)
    if not stage and _is_stopped(status, first, hot.today):
        late = hot.lateness_days
        goes = hot.first_row_goes_at(first.plus(-late))
        stage = min(_stage_at(settings, goes, now), 1)
    if not stage:
        return None
    left = max((goes - now).total_seconds() / _HOUR_S, 0)
    closed = "1 closed day that is" if len(days) == 1 else f"{len(days)} closed days that are"
    rows = "late rows of earlier days" if late else "its rows"
    recheck = f"; lake recheck {name}" if late else ""
    return Alert(
        EXPIRING,
        "critical" if stage > 1 else "warning",
        f"{name}: {source} deletes the first unproven row at {_hour(goes)}",
        f"{first} is the first of {closed} not proven; by [hot], {source} keeps {rows} for "
        f"{left:.0f} more hours\n"
        f"remedy: lake export {name} --from {first} --to {days[-1].plus(1)}{recheck}",
        labels_of_days("unproven", name, source),
        started_at=now,
        day=str(first),
        stage=stage,
    )


def _is_stopped(status: DatasetStatus, first: Day, today: Day) -> bool:
    """Whether nothing is proven from that day on, and not only since last night."""
    proven = (day for day, partition in status.days.items() if partition.state in PROVEN)
    return first < today.plus(-1) and max(proven, default=first) < first


def _stage_at(settings: Settings, goes: datetime, now: datetime) -> int:
    """Of a row that its source deletes at that time."""
    within = (settings.alerts.warn_hours, settings.alerts.critical_hours)
    return sum(goes < now + timedelta(hours=hours) for hours in within)


def _damaged(settings: Settings, dataset: DatasetStatus, now: datetime) -> Iterator[Alert]:
    """A day that differs may do so for good: it is not a reason to withhold the heartbeat, however
    soon its source deletes it. The hour is a message all the same, by the alert's stage.
    """
    name, source = dataset.dataset, dataset.source
    hot = hot_days(settings, source, today=Day(now.date()))
    for state, alert, severity, day_is, days_are in _WRONG:
        if days := _in_state(dataset, state):
            stage, hour = _hour_of(settings, hot, source, days, now)
            what = f"1 day {day_is}" if len(days) == 1 else f"{len(days)} days {days_are}"
            each = "" if len(days) == 1 else ", and so for each day"
            remedy = (
                f"remedy: lake verify {name}; while {source} has the rows: "
                f"lake export {name} --day {days[0]} --force{each}"
            )
            summary = f"{name}: {what} ({_span(days)})"
            labels = labels_of_days(state, name, source)
            yield Alert(alert, severity, summary, remedy + hour, labels, stage=stage)


def _hour_of(
    settings: Settings, hot: HotDays, source: str, days: Sequence[Day], now: datetime
) -> tuple[int, str]:
    """The stage, and a line with the hour at which rows of these stored days go."""
    first = next((day for day in days if hot.last_row_goes_at(day) > now), None)
    if first is None:
        return _LOST, f"\n{source} has deleted their rows: see earlier versions of the objects"
    goes = hot.first_row_goes_at(first)
    line = f"\n{source} deletes the first of their rows at {_hour(goes)}"
    return _stage_at(settings, goes, now), line


def _hour(when: datetime) -> str:
    return f"{when:%Y-%m-%d %H:%M} UTC"


def _in_state(dataset: DatasetStatus, state: State) -> list[Day]:
    return sorted(day for day, status in dataset.days.items() if status.state == state)


def _span(days: Sequence[Day]) -> str:
    return str(days[0]) if len(days) == 1 else f"{days[0]} … {days[-1]}"


def _no_success(statuses: Sequence[DatasetStatus], now: datetime) -> Iterator[Alert]:
    """Of all datasets together: a single one lags, which has an alert of its own."""
    written = [
        datetime.fromisoformat(day.created_at)
        for dataset in statuses
        for day in dataset.days.values()
        if day.created_at
    ]
    last = max(written, default=None)
    if last and now - last > NO_EXPORT_FOR:
        hours = NO_EXPORT_FOR.total_seconds() / _HOUR_S
        yield Alert(
            NO_EXPORT,
            "warning",
            f"nothing was exported for {hours:.0f} hours",
            f"The last manifest is of {last:%Y-%m-%d %H:%M} UTC.\nremedy: lake doctor",
            started_at=now,
            day=str(Day(last.date()).plus(-1)),
        )


def _silent_guards(settings: Settings, store: Store, now: datetime) -> Iterator[Alert]:
    for silence in silences(settings, store, now=now):
        yield Alert(
            SILENT,
            "critical",
            f"{silence.dataset}: the expiry guard has not run for {silence.hours} hours",
            str(silence),
            {"dataset": silence.dataset},
            started_at=now,
        )


def _failed_verifications(
    settings: Settings, store: Store, statuses: Sequence[DatasetStatus]
) -> Iterator[Alert]:
    """Of the last `lake verify --record`, as long as the first day that failed is what it was."""
    records = recorded(store)
    days_of = {status.dataset: status.days for status in statuses}
    for dataset in settings.dataset:
        verified = records.get(dataset.name)
        if verified is None or not verified.failures:
            continue
        state = days_of[dataset.name].get(Day.parse(verified.first))
        if state and state.state == "damaged":
            continue  # its alert is there
        days = "1 day" if verified.failures == 1 else f"{verified.failures} days"
        yield Alert(
            "LakeVerifyFailed",
            "critical",
            f"{dataset.name}: {days} failed the last verification, first {verified.first}",
            f"remedy: lake verify {dataset.name}; fix the days, then "
            f"lake verify {dataset.name} --record",
            labels_of_days("damaged", dataset.name, dataset.source),
            started_at=datetime.fromisoformat(verified.at),
        )
    if (of_records := records.get(RECORDS)) and of_records.failures:
        problems = "1 problem" if of_records.failures == 1 else f"{of_records.failures} problems"
        yield Alert(
            "LakeVerifyFailed",
            "critical",
            f"the audit log or the records of deletions have {problems}: {of_records.first}",
            "remedy: lake verify --record lists them; docs/reference.md, Audit log",
            labels_of_records(),
            started_at=datetime.fromisoformat(of_records.at),
        )
