"""Failed partitions, snapshots and runs as alerts: one a cause, not one a partition.

Belongs here: what makes two failures one cause, its text, which failures are consequences of what
the ledger shows. Does not: noticing them.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Collection, Iterable
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Literal

from lake.alerts.alert import SEVERITIES, Alert, Severity
from lake.base.redaction import redact

Operation = Literal["export", "recount", "snapshot", "guard", "rehearsal", "retention", "verify"]
_NAMES: dict[Operation, tuple[str, Severity]] = {
    "export": ("LakeExportFailed", "critical"),
    "recount": ("LakeRecountFailed", "warning"),
    "snapshot": ("LakeSnapshotFailed", "critical"),
    "guard": ("LakeGuardFailed", "warning"),
    "rehearsal": ("LakeRehearsalFailed", "warning"),
    "retention": ("LakeRetentionFailed", "warning"),
    "verify": ("LakeVerifyIncomplete", "warning"),
}
GUARD = "guard of expiry"
"""The subject of failures of a whole run of the guard."""
LAKE = "lake"
"""The source of failures of the lake's own store, which fail all operations of all sources."""
NOT_AS_STORED = "the partition is stored, but it does not hold what it should"
"""What an export fails with whose partition, read back, is damaged."""
_WHERE = re.compile(r"[^\n]*\n  where: ([^\n]+)")
_VARYING = re.compile(r"\d{4}-\d\d-\d\d|\d[\d,.]*")
_DAMAGE = "damage"
_SHOWN = 10  # datasets by name
_LONGEST = 2000


@dataclass(frozen=True)
class Failure:
    """One thing that failed: a dataset's day, a system's snapshot, a dataset's guard, a rehearsal.

    `at` is when it first failed. `subject` is the dataset or the system, `source` its system or
    LAKE (see `place_of`), `day` empty where there is none. `text` is the error as people read it;
    its first line is the summary, the others are details. `critical`: whatever the operation.
    `explained`: see `explained_by`.
    """

    operation: Operation
    subject: str
    source: str
    text: str
    at: datetime
    day: str = ""
    critical: bool = False
    explained: bool = False

    @property
    def what(self) -> str:
        """The cause in a line."""
        return redact(self.text.strip().partition("\n")[0])

    @property
    def is_damage(self) -> bool:
        """Whether an object of the dataset is not as it was stored."""
        return self.what == NOT_AS_STORED or (self.operation == "guard" and "damaged" in self.what)

    @property
    def cause(self) -> tuple[str, str]:
        """The same for all failures that are one message: where it is, and the error.

        A source that does not answer is one cause of exports, recounts, a snapshot and a guard
        that fail. Days, numbers and the subject's name are no part of it: "3 of 31 days of lines
        failed" is what "5 of 31 days of events failed" is. Damage is a cause by dataset, whatever
        finds it.
        """
        if self.is_damage:
            return (_DAMAGE, self.subject)
        names = re.escape(self.subject)
        plain = re.sub(rf"\b{names}\b", "#", self.what)
        return (self.source or self.operation, _VARYING.sub("#", plain))


def place_of(text: str, root: str, source: str) -> str:
    """LAKE for an error, as text, of an object below the lake's root; else `source`: also for a
    damaged object, which is no failure of the store.
    """
    where = None if text.startswith(NOT_AS_STORED) else _WHERE.match(text.strip())
    below = root.rstrip("/") + "/"
    return LAKE if where and f"{where[1]}/".startswith(below) else source


def labels_of_lake(what: str) -> dict[str, str]:
    """Of an alert about the lake's store: the same as those of every failure by the same error."""
    return _labels((LAKE, _VARYING.sub("#", what)), LAKE)


def labels_of_damage(dataset: str, source: str) -> dict[str, str]:
    """Of an alert about damaged objects: the same as those of every failure by them."""
    return _labels((_DAMAGE, dataset), source)


_EXPLAIN_DAMAGE = frozenset(("LakeDayDamaged", "LakeDayDiffers"))
_EXPLAIN_A_GUARD = _EXPLAIN_DAMAGE | {"LakeRowsExpiring", "LakeRowsLost"}
_SILENT = "LakeGuardSilent"


def firing(failures: Iterable[Failure], ledger: Collection[Alert]) -> list[Alert]:
    """One alert a cause, from failures and from what the ledger shows.

    A guard that holds a dataset for days that the ledger's alerts are about is no cause of its own.
    A guard that is silent because it fails is no other cause than its failure, but a critical one.
    Of two with the same labels, such as a guard and a verification that find the same damage, the
    earlier one stands for both.
    """
    known = _named(ledger)
    silent = {dataset for name, dataset in known if name == _SILENT}

    def of_silent(failure: Failure) -> set[str | None]:
        if failure.operation != "guard":
            return set()
        return silent if failure.subject == GUARD else silent & {failure.subject}

    causes = [failure for failure in failures if not _is_explained(failure, known)]
    reported = {dataset for cause in causes for dataset in of_silent(cause)}
    causes = [replace(cause, critical=True) if of_silent(cause) else cause for cause in causes]
    shown = (
        alert
        for alert in ledger
        if not (alert.name == _SILENT and alert.labels.get("dataset") in reported)
    )
    alerts = sorted([*alerts_of(causes), *shown], key=lambda alert: alert.started_at)
    return list({alert.key: alert for alert in reversed(alerts)}.values())[::-1]


def explained_by(ledger: Collection[Alert], failures: Iterable[Failure]) -> list[Failure]:
    """The guards' failures that the ledger's alerts explain. They stay explained when these alerts
    end: whether the dataset is still held is not known before the guard has run again.
    """
    known = _named(ledger)
    guards = (failure for failure in failures if failure.operation == "guard")
    return [failure for failure in guards if _is_explained(failure, known)]


def _named(ledger: Collection[Alert]) -> set[tuple[str, str | None]]:
    return {(alert.name, alert.labels.get("dataset")) for alert in ledger}


def _is_explained(failure: Failure, known: Collection[tuple[str, str | None]]) -> bool:
    if failure.explained:
        return True
    names = _EXPLAIN_A_GUARD if failure.operation == "guard" else _EXPLAIN_DAMAGE
    depends = failure.operation == "guard" or failure.is_damage
    return depends and any((name, failure.subject) in known for name in names)


def alerts_of(failures: Iterable[Failure]) -> list[Alert]:
    """One a cause, the oldest first."""
    causes: dict[tuple[str, ...], list[Failure]] = {}
    for failed in sorted(failures, key=lambda failure: (failure.at, failure.subject, failure.day)):
        causes.setdefault(failed.cause, []).append(failed)
    return [_alert(cause, group) for cause, group in causes.items()]


def _alert(cause: tuple[str, ...], group: list[Failure]) -> Alert:
    first = group[0]
    operations = list(dict.fromkeys(failure.operation for failure in group))
    name = _NAMES[first.operation][0]
    severities = [_NAMES[operation][1] for operation in operations]
    severity = max(severities, key=SEVERITIES.index)
    if any(failure.critical or failure.is_damage for failure in group):
        severity = "critical"
    subjects = list(dict.fromkeys(failure.subject for failure in group))
    shown = ", ".join(subjects[:_SHOWN])
    if len(subjects) > _SHOWN:
        shown += f" and {len(subjects) - _SHOWN} more"
    lines = [f"datasets: {shown}" if first.day else f"of: {shown}"]
    if others := operations[1:]:
        lines.append(f"also failed by it: {', '.join(others)}")
    lines.append(first.text[:_LONGEST])
    return Alert(
        name,
        severity,
        f"{first.operation} failed: {_extent(group, subjects)}: {first.what}",
        "\n".join(lines),
        _labels(cause, first.source),
        started_at=first.at,
    )


def _labels(cause: tuple[str, ...], source: str) -> dict[str, str]:
    digest = hashlib.sha256("\n".join(cause).encode()).hexdigest()[:12]
    labels = {"dataset": cause[1]} if cause[0] == _DAMAGE else {}
    return labels | ({"source": source} if source else {}) | {"cause": digest}


def _extent(group: list[Failure], subjects: list[str]) -> str:
    """What failed, in few words."""
    days = sorted({failure.day for failure in group if failure.day})
    what = subjects[0] if len(subjects) == 1 else f"{len(subjects)} datasets"
    if not days:
        return what
    span = days[0] if len(days) == 1 else f"{days[0]} … {days[-1]}"
    number = len({(failure.subject, failure.day) for failure in group})
    return f"{what}, {number} {'day' if number == 1 else 'days'} ({span})"
