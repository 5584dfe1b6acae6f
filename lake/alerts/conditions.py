"""What the ledger alone shows to be wrong.

Belongs here: thresholds, texts with the hour at which rows go. Does not: failures of runs
(failures), the same rules for Prometheus (deploy/prometheus/rules).
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import datetime, timedelta

from lake.alerts.alert import Alert
from lake.alerts.failures import labels_of_damage, labels_of_lake
from lake.base.clock import utc_now
from lake.base.day import Day
from lake.config.settings import Settings
from lake.hot import HotDays, hot_days
from lake.lag import PROVEN, Lag, lags
from lake.status import DatasetStatus, State, read_status
from lake.store import Store
from lake.ttl.silence import silences
from lake.verified import RECORDS, recorded

_SUCCESS_WITHIN = timedelta(hours=36)
_LOST_DAYS = 7  # they never come back: an alert that never ended would hide the next one


def conditions(settings: Settings, store: Store, now: datetime | None = None) -> list[Alert]:
    """What is wrong now, from manifests; no request to a source. Raises what the store raises."""
    now = now or utc_now()
    statuses = read_status(settings, store, None)
    late = lags(settings, statuses, now)
    return [
        *(
            alert
            for status, lag in zip(statuses, late, strict=True)
            for alert in _at_risk(settings, status, lag, now)
        ),
        *_damaged(statuses, late),
        *_no_success(statuses, now),
        *_silent_guards(settings, store, now),
        *_failed_verifications(settings, store, statuses),
    ]


def unreadable(what: str, text: str) -> Alert:
    """Where the store does not answer: whatever else fails by the same error is the same cause."""
    summary = f"the lake can't be read: {what}"
    return Alert("LakeUnreadable", "critical", summary, text, labels_of_lake(what))


def _at_risk(settings: Settings, status: DatasetStatus, lag: Lag, now: datetime) -> Iterator[Alert]:
    labels = {"dataset": lag.dataset, "source": lag.source}
    hours = lag.hours_left(now)
    hot = hot_days(settings, lag.source, today=lag.today)
    if _expiring(status, lag, hot, now + timedelta(hours=settings.alerts.warn_hours)):
        critical = hours < settings.alerts.critical_hours
        goes = f"{lag.goes_at:%Y-%m-%d %H:%M} UTC"
        yield Alert(
            "LakeRowsExpiring",
            "critical" if critical else "warning",
            f"{lag.dataset}: {lag.source} forgets the first unproven row at {goes}",
            f"{lag.first_unproven} is the first of {lag.days} closed days that are not proven; by "
            f"[hot] {lag.source} has {max(hours, 0):.0f} hours left of it\n"
            f"remedy: lake export {lag.dataset} --from {lag.first_unproven} --to {lag.today}",
            labels,
            started_at=now,
        )
    kept: int = getattr(settings.hot, lag.source)
    recent = [day for day in lag.lost if day.days_until(lag.today) <= kept + _LOST_DAYS]
    if recent:
        number = "1 day" if len(recent) == 1 else f"{len(recent)} days"
        yield Alert(
            "LakeRowsLost",
            "critical",
            f"{lag.dataset}: {lag.source} has forgotten {number} not proven ({_span(recent)})",
            "remedy: `lake snapshots` lists snapshots that may hold them",
            labels,
            started_at=now,
        )


def _expiring(status: DatasetStatus, lag: Lag, hot: HotDays, until: datetime) -> bool:
    """Whether rows of unproven days expire before then. Damaged days have an alert of their own."""
    return any(
        hot.first_row_goes_at(day) < until
        for day, partition in status.days.items()
        if lag.first_unproven <= day < lag.today
        and partition.state not in PROVEN
        and partition.state != "damaged"
    )


def _damaged(statuses: Sequence[DatasetStatus], late: Sequence[Lag]) -> Iterator[Alert]:
    for dataset, lag in zip(statuses, late, strict=True):
        labels = {"dataset": dataset.dataset, "source": dataset.source}
        remedy = (
            f"remedy: lake verify {dataset.dataset}; lake export {dataset.dataset} --force while "
            f"{dataset.source} has them"
        )
        if days := _in_state(dataset, "damaged"):
            what = "1 day is damaged" if len(days) == 1 else f"{len(days)} days are damaged"
            summary = f"{dataset.dataset}: {what} ({_span(days)})"
            if lag.first_unproven in days:
                goes = f"{lag.goes_at:%Y-%m-%d %H:%M} UTC"
                remedy += f"\n{dataset.source} forgets the first of their rows at {goes}"
            yield Alert("LakeDayDamaged", "critical", summary, remedy, labels)
        if days := _in_state(dataset, "differs"):
            what = "1 day differs" if len(days) == 1 else f"{len(days)} days differ"
            summary = f"{dataset.dataset}: {what} ({_span(days)})"
            yield Alert("LakeDayDiffers", "warning", summary, remedy, labels)


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
    if last and now - last > _SUCCESS_WITHIN:
        hours = _SUCCESS_WITHIN.total_seconds() / 3600
        yield Alert(
            "LakeNoExportSuccess",
            "warning",
            f"nothing was exported for {hours:.0f} hours",
            f"The last manifest is of {last:%Y-%m-%d %H:%M} UTC.\nremedy: lake doctor",
            started_at=now,
        )


def _silent_guards(settings: Settings, store: Store, now: datetime) -> Iterator[Alert]:
    for silence in silences(settings, store, now=now):
        yield Alert(
            "LakeGuardSilent",
            "critical",
            f"{silence.dataset}: the guard of expiry has not run for {silence.hours} hours",
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
            f"remedy: lake verify {dataset.name}; mend the days, then "
            f"lake verify {dataset.name} --record",
            labels_of_damage(dataset.name, dataset.source),
            started_at=datetime.fromisoformat(verified.at),
        )
    if (of_records := records.get(RECORDS)) and of_records.failures:
        problems = "1 problem" if of_records.failures == 1 else f"{of_records.failures} problems"
        yield Alert(
            "LakeVerifyFailed",
            "critical",
            f"the audit log or the records of deletions have {problems}: {of_records.first}",
            "remedy: lake verify --record lists them; docs/operations.md, Audit log",
            {"subject": RECORDS},
            started_at=datetime.fromisoformat(of_records.at),
        )
