"""Failed partitions, snapshots and runs as alerts: one per cause, not one per partition.

Belongs here: what makes two failures one cause, its text. Does not: noticing them, which of them
are consequences of others (causes).
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Literal

from lake.alerts.alert import SEVERITIES, Alert, Severity
from lake.audit import ENTRY_UNREADABLE, HEAD_UNREADABLE
from lake.base.redaction import redact
from lake.base.sizes import counted
from lake.completeness import SHRUNK
from lake.retention.plan import drop_remedy
from lake.retention.records import UNREADABLE
from lake.verified import RECORDS

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
GUARD = "expiry guard"
"""The subject of failures of a whole run of the guard."""
LAKE = "lake"
"""The source of failures of the lake's own store, which fail all operations of all sources."""
NOT_AS_STORED = "the partition is stored, but it does not hold what it should"
"""What an export fails with whose partition, read back, is damaged."""
_WHERE = re.compile(r"[^\n]*\n  where: ([^\n]+)")
_VARYING = re.compile(r"\d{4}-\d\d-\d\d|\d[\d,.]*")
HELD = "documents are held because a day is"
"""What the reason of a guard begins with that holds days; their state follows."""
Kind = Literal["damaged", "differs", "unproven", "records", ""]
ROWS_EQUAL_SOURCE = "rows_equal_source"
"""The check that fails where an object is whole, and the source counted otherwise."""
_STATES: dict[str, Kind] = {
    "damaged": "damaged",
    "differs": "differs",
    "late": "unproven",
    "missing": "unproven",
}  # of a day that a guard holds
_HELD = re.compile(rf"{HELD} (\w+)")
_FIRST = re.compile(r"the first is (\d{4}-\d\d-\d\d)")
_INVALID = re.compile(r"table (\S+): .*" + drop_remedy(r"\1", r"\S+"))  # its manifest
_ROWS_DIFFER = re.compile(rf"^ *found: {ROWS_EQUAL_SOURCE}", re.MULTILINE)
_OF_RECORDS = (ENTRY_UNREADABLE, HEAD_UNREADABLE, UNREADABLE)
_SHOWN = 10  # datasets by name
_LONGEST = 2000


@dataclass(frozen=True)
class Failure:
    """One thing that failed: a dataset's day, a system's snapshot, a dataset's guard, a rehearsal.

    `at` is when it first failed. `subject` is the dataset or the system, `source` its system or
    LAKE (see `place_of`), `day` empty where there is none. `text` is the error message;
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
    def state(self) -> str:
        """That of the days which a guard holds: missing, late, differs, damaged, held; else ""."""
        match = _HELD.match(self.what) if self.operation == "guard" else None
        return match[1] if match else ""

    @property
    def first_day(self) -> str:
        """The first of the days that failed or, of a guard, that it holds; "" where unknown."""
        match = _FIRST.search(self.text) if self.state else None
        return match[1] if match else self.day

    @property
    def kind(self) -> Kind:
        """What is wrong with a dataset's days, or with the lake's records, whatever reports it.

        damaged: an object is not as it was stored · differs: the source counted otherwise ·
        unproven: rows at the source that are not in the lake · records: the audit log or a deletion
        manifest · "": something else, which the error has.
        """
        if self.operation == "retention" and len(self.damaged_tables) == 1:
            return "damaged"
        if self.what == NOT_AS_STORED:
            return "differs" if _ROWS_DIFFER.search(self.text) else "damaged"
        if self.what == SHRUNK:
            return "differs"
        if any(text in self.what for text in _OF_RECORDS):
            return "records"
        return _STATES.get(self.state, "")

    @property
    def damaged_tables(self) -> frozenset[str]:
        """Of retention the datasets whose tables it keeps for invalid manifests, if these are all
        that it keeps.
        """
        lines = [_INVALID.match(line) for line in self.text.strip().splitlines()[1:]]
        return frozenset(line[1] for line in lines if line) if all(lines) else frozenset()

    @property
    def _of(self) -> str:
        """The dataset whose days it is about; "" where it is about the lake's records."""
        return "" if self.kind == "records" else min(self.damaged_tables, default=self.subject)

    @property
    def cause(self) -> tuple[str, str]:
        """The same for all failures that are one message: where it is, and the error.

        A source that does not answer is one cause of exports, recounts, a snapshot and a guard
        that fail. Days, numbers and the subject's name are no part of it: "3 of 31 days of lines
        failed" is what "5 of 31 days of events failed" is. What is wrong with days is a cause by
        dataset, whatever finds it.
        """
        if self.kind:
            return (self.kind, self._of)
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
    """Labels of an alert about the lake's store, equal for all failures with the same error."""
    return _labels((LAKE, _VARYING.sub("#", what)), LAKE)


def labels_of_days(kind: Kind, dataset: str, source: str) -> dict[str, str]:
    """Labels of an alert about a dataset's days, equal for all failures of that kind."""
    return _labels((kind, dataset), source)


def labels_of_records() -> dict[str, str]:
    """Labels of an alert about the audit log or the records of deletions."""
    return _labels(("records", ""), "")


def alerts_of(
    failures: Iterable[Failure], expiring: Mapping[tuple[str, str], Sequence[Alert]] | None = None
) -> list[Alert]:
    """One per cause, the oldest first. `expiring` are alerts about rows that go because of a cause:
    its own alert has their texts.
    """
    causes: dict[tuple[str, str], list[Failure]] = {}
    for failed in sorted(failures, key=lambda failure: (failure.at, failure.subject, failure.day)):
        causes.setdefault(failed.cause, []).append(failed)
    return [
        with_consequences(_alert(cause, group), (expiring or {}).get(cause, ()))
        for cause, group in causes.items()
    ]


def with_consequences(alert: Alert, consequences: Sequence[Alert]) -> Alert:
    """The alert with the texts of others that need none of their own, as severe as they are."""
    return replace(
        alert,
        severity=max((a.severity for a in (alert, *consequences)), key=SEVERITIES.index),
        stage=max(a.stage for a in (alert, *consequences)),
        description="\n".join([alert.description, *(a.summary for a in consequences)]),
    )


def _alert(cause: tuple[str, str], group: list[Failure]) -> Alert:
    first = group[0]
    operations = list(dict.fromkeys(failure.operation for failure in group))
    name = _NAMES[first.operation][0]
    severities = [_NAMES[operation][1] for operation in operations]
    severity = max(severities, key=SEVERITIES.index)
    if any(failure.critical for failure in group) or first.kind in ("damaged", "records"):
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
        stage=int(first.kind == "unproven"),  # its text has the hour
    )


def _labels(cause: tuple[str, str], source: str) -> dict[str, str]:
    digest = hashlib.sha256("\n".join(cause).encode()).hexdigest()[:12]
    if cause[0] == "records":
        return {"subject": RECORDS, "cause": digest}
    labels = {"dataset": cause[1]} if cause[0] in _STATES.values() else {}
    return labels | ({"source": source} if source else {}) | {"cause": digest}


def _extent(group: list[Failure], subjects: list[str]) -> str:
    """What failed, in few words."""
    days = sorted({failure.day for failure in group if failure.day})
    what = subjects[0] if len(subjects) == 1 else f"{len(subjects)} datasets"
    if not days:
        return what
    span = days[0] if len(days) == 1 else f"{days[0]} … {days[-1]}"
    number = len({(failure.subject, failure.day) for failure in group})
    return f"{what}, {counted(number, 'day')} ({span})"
