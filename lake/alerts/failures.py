"""Failed partitions, snapshots and runs as alerts: one a cause, not one a partition.

Belongs here: what makes two failures one cause, its text, which failures are consequences of what
the ledger shows. Does not: noticing them.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Collection, Iterable
from dataclasses import dataclass
from datetime import datetime
from typing import Literal

from lake.alerts.alert import SEVERITIES, Alert, Severity
from lake.base.redaction import redact

Operation = Literal["export", "recount", "snapshot", "guard", "rehearsal", "retention"]
_NAMES: dict[Operation, tuple[str, Severity]] = {
    "export": ("LakeExportFailed", "critical"),
    "recount": ("LakeRecountFailed", "warning"),
    "snapshot": ("LakeSnapshotFailed", "critical"),
    "guard": ("LakeGuardFailed", "warning"),
    "rehearsal": ("LakeRehearsalFailed", "warning"),
    "retention": ("LakeRetentionFailed", "warning"),
}
_VARYING = re.compile(r"\d{4}-\d\d-\d\d|\d[\d,.]*")
_SHOWN = 10  # datasets by name
_LONGEST = 2000


@dataclass(frozen=True)
class Failure:
    """One thing that failed: a dataset's day, a system's snapshot, a dataset's guard, a rehearsal.

    `at` is when it first failed. `subject` is the dataset or the system, `source` its system, `day`
    empty where there is none. `text` is the error as people read it; its first line is the
    summary, the others are details.
    """

    operation: Operation
    subject: str
    source: str
    text: str
    at: datetime
    day: str = ""

    @property
    def what(self) -> str:
        """The cause in a line."""
        return redact(self.text.strip().partition("\n")[0])

    @property
    def cause(self) -> tuple[str, str]:
        """The same for all failures that are one message: where it is, and the error.

        A source that does not answer is one cause of exports, recounts, a snapshot and a guard
        that fail. Days, numbers and the subject's name are no part of it: "3 of 31 days of lines
        failed" is what "5 of 31 days of events failed" is.
        """
        names = re.escape(self.subject)
        plain = _VARYING.sub("#", re.sub(rf"\b{names}\b", "#", self.what))
        return (self.source or self.operation, plain)


_EXPLAIN_A_GUARD = frozenset(("LakeDayDamaged", "LakeDayDiffers", "LakeRowsGo", "LakeRowsLost"))
_VERIFY = "LakeVerifyFailed"


def firing(failures: Iterable[Failure], ledger: Collection[Alert]) -> list[Alert]:
    """One alert a cause, from failures and from what the ledger shows.

    A guard that holds a dataset for days that the ledger's alerts are about is no cause of its own.
    Of a guard and a verification that find the same damage the earlier one stands for both.
    """
    failures = list(failures)
    known = {(alert.name, alert.labels.get("dataset")): alert for alert in ledger}
    doubled: set[str] = set()

    def is_cause(failure: Failure) -> bool:
        if failure.operation != "guard":
            return True
        if any((name, failure.subject) in known for name in _EXPLAIN_A_GUARD):
            return False
        verified = known.get((_VERIFY, failure.subject))
        if verified is None or "damaged" not in failure.what:
            return True
        if verified.started_at > failure.at:
            doubled.add(failure.subject)
        return failure.subject in doubled

    causes = [failure for failure in failures if is_cause(failure)]
    shown = (
        alert
        for alert in ledger
        if not (alert.name == _VERIFY and alert.labels.get("dataset") in doubled)
    )
    return [*alerts_of(causes), *shown]


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
    severity = max((_NAMES[operation][1] for operation in operations), key=SEVERITIES.index)
    digest = hashlib.sha256("\n".join(cause).encode()).hexdigest()[:12]
    labels = {"source": first.source} if first.source else {}
    labels["cause"] = digest
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
        labels,
        started_at=first.at,
    )


def _extent(group: list[Failure], subjects: list[str]) -> str:
    """What failed, in few words."""
    days = sorted({failure.day for failure in group if failure.day})
    what = subjects[0] if len(subjects) == 1 else f"{len(subjects)} datasets"
    if not days:
        return what
    span = days[0] if len(days) == 1 else f"{days[0]} … {days[-1]}"
    number = len({(failure.subject, failure.day) for failure in group})
    return f"{what}, {number} {'day' if number == 1 else 'days'} ({span})"
