"""What is firing: one alert per cause, from failures and from what the ledger shows together.

Belongs here: which failures and which of the ledger's alerts are consequences of others, in either
order. Does not: the text of an alert (failures, conditions), who was notified (notifications).

There are three ways for two findings to be one message:

1. They have the same labels: what is wrong with a dataset's days is one alert, whether an export, a
   guard, a verification or the ledger finds it, and so is a store that does not answer.
2. The one is a consequence of the other and adds the hour at which rows go: the other has its text,
   and becomes as severe (rows that go for an export that fails, or for none that runs).
3. The one is a consequence of the other and adds nothing: it is left out.

An alert that is open already is never left out for a cause that came later: its end would be sent,
and it has not ended.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence
from dataclasses import replace
from datetime import timedelta

from lake.alerts.alert import SEVERITIES, Alert
from lake.alerts.failures import GUARD, Failure, alerts_of, with_consequences

EXPIRING = "LakeRowsExpiring"
LOST = "LakeRowsLost"
DAMAGED = "LakeDayDamaged"
DIFFERS = "LakeDayDiffers"
SILENT = "LakeGuardSilent"
NO_EXPORT = "LakeNoExportSuccess"
NO_EXPORT_FOR = timedelta(hours=36)
_EXPORTS = frozenset(("export", "recount"))
_OF_DAYS = {"damaged": DAMAGED, "differs": DIFFERS}


def firing(
    failures: Iterable[Failure], ledger: Iterable[Alert], is_open: Iterable[Alert] = ()
) -> list[Alert]:
    """One alert per cause, the oldest first. `is_open`: those that are open already."""
    failures, ledger = list(failures), list(ledger)
    opened = {alert.key for alert in is_open}
    causes = [
        failure for failure in failures if not _is_explained(failure, ledger, failures, opened)
    ]
    causes, ledger = _silent(causes, ledger, opened)
    ledger = [
        alert
        for alert in ledger
        if alert.name != NO_EXPORT
        or alert.key in opened
        or not _nothing_new(alert, causes, ledger, opened)
    ]
    exporting = {(of.subject, of.day): of.cause for of in causes if of.operation in _EXPORTS}
    nothing = next((alert for alert in ledger if alert.name == NO_EXPORT), None)
    by_cause: dict[tuple[str, str], list[Alert]] = {}
    by_nothing: list[Alert] = []
    shown = []
    for alert in ledger:
        is_new = alert.name == EXPIRING and alert.key not in opened
        cause = exporting.get((alert.labels.get("dataset", ""), alert.day))
        if is_new and cause:
            by_cause.setdefault(cause, []).append(alert)
        elif is_new and nothing and alert.day >= nothing.day:
            by_nothing.append(alert)
        else:
            shown.append(alert)
    shown = [with_consequences(alert, by_nothing) if alert is nothing else alert for alert in shown]
    return _merged([*alerts_of(causes, by_cause), *shown])


def explained_by(
    ledger: Iterable[Alert], failures: Iterable[Failure], is_open: Iterable[Alert] = ()
) -> list[Failure]:
    """The failures of guards and of retention that the ledger's alerts or failed exports explain.
    They stay explained when these end: whether the dataset is still held is not known before the
    guard has run again. `is_open`: as `firing` has it.
    """
    ledger, failures = list(ledger), list(failures)
    opened = {alert.key for alert in is_open}
    return [failure for failure in failures if _is_explained(failure, ledger, failures, opened)]


def _is_explained(
    failure: Failure,
    ledger: Sequence[Alert],
    failures: Sequence[Failure],
    opened: Collection[str],
) -> bool:
    if failure.explained:
        return True
    if failure.operation not in ("guard", "retention"):
        return False
    known = {alert.name for alert in ledger if alert.labels.get("dataset") == failure.subject}
    # Of the same labels: the alert stays open. A late day is not known to the ledger.
    if (failure.state, failure.kind) == ("missing", "unproven") and EXPIRING in known:
        return True
    if failure.operation == "guard" and _OF_DAYS.get(failure.kind) in known:
        return True
    if _key_of(failure) in opened:
        return False
    if failure.operation == "retention":
        damaged = {alert.labels.get("dataset") for alert in ledger if alert.name == DAMAGED}
        return bool(failure.damaged_tables) and failure.damaged_tables <= damaged
    if failure.kind != "unproven":
        return False
    day = failure.first_day
    return (
        (failure.state == "missing" and LOST in known)
        or any((of.operation in _EXPORTS) and (of.subject, of.day) == (failure.subject, day)
               for of in failures)
        or any(alert.name == NO_EXPORT and day >= alert.day for alert in ledger)
    )  # fmt: skip


def _key_of(failure: Failure) -> str:
    (alert,) = alerts_of([failure])
    return alert.key


def _silent(
    causes: Sequence[Failure], ledger: Sequence[Alert], opened: Collection[str]
) -> tuple[list[Failure], list[Alert]]:
    """A guard that is silent because it fails is no other cause than its failure, but a critical
    one.
    """
    silent = {alert.labels.get("dataset") for alert in ledger if alert.name == SILENT}

    def of_silent(failure: Failure) -> set[str | None]:
        if failure.operation != "guard":
            return set()
        return silent if failure.subject == GUARD else silent & {failure.subject}

    reported = {dataset for cause in causes for dataset in of_silent(cause)}
    shown = [
        alert
        for alert in ledger
        if alert.name != SILENT
        or alert.key in opened
        or alert.labels.get("dataset") not in reported
    ]
    return [replace(cause, critical=True) if of_silent(cause) else cause for cause in causes], shown


def _nothing_new(
    alert: Alert, causes: Sequence[Failure], ledger: Sequence[Alert], opened: Collection[str]
) -> bool:
    """Whether it is known why nothing was exported: exports fail, or rows that go since then have
    an open alert.
    """
    since = alert.started_at - NO_EXPORT_FOR
    fails = any(cause.operation in _EXPORTS and cause.at >= since for cause in causes)
    going = [(known.key, known.day) for known in ledger if known.name == EXPIRING]
    going += [(_key_of(of), of.first_day) for of in causes if of.kind == "unproven"]
    return fails or any(key in opened and day >= alert.day for key, day in going)


def _merged(alerts: Iterable[Alert]) -> list[Alert]:
    """Of those with the same labels the earliest gives the name, the most urgent the text."""
    by_key: dict[str, list[Alert]] = {}
    for alert in sorted(alerts, key=lambda alert: alert.started_at):
        by_key.setdefault(alert.key, []).append(alert)
    return [_one_of(same) for same in by_key.values()]


def _one_of(same: Sequence[Alert]) -> Alert:
    first = max(same, key=lambda alert: alert.urgency)
    others = [f"also: {alert.summary}" for alert in same if alert is not first]
    return replace(
        first,
        name=same[0].name,
        description="\n".join([first.description, *others]),
        severity=max((alert.severity for alert in same), key=SEVERITIES.index),
        started_at=same[0].started_at,
    )
