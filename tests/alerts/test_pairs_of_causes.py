"""Every pair of findings about one dataset, in either order: one alert or two.

A finding is a failure of an operation or what the ledger shows. The pairs that are one cause are
listed here by what an operator would call one problem, not by how the lake decides it.
"""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from itertools import permutations, product

import pytest
from support.recorder import Recorder

from lake.alerts import Alert, Failure, Notifications, explained_by, firing, unreadable
from lake.alerts.failures import (
    GUARD,
    HELD,
    LAKE,
    NOT_AS_STORED,
    labels_of_days,
    labels_of_records,
)

START = datetime(2026, 11, 28, tzinfo=UTC)
NIGHT = timedelta(hours=24)
DAY = "2026-11-20"
DOWN = "MongoDB does not answer"
REFUSED = "S3 refused\n  where: s3://bucket/lake/manifests/"
LOG = "entry 5 of the audit log can't be read"


def failed(operation, text: str, day: str = "", subject="events", source="mongo") -> Failure:
    return Failure(operation, subject, source, text, START, day)


def held(state: str) -> Failure:
    return failed("guard", f"{HELD} {state}\n1 day, the first is {DAY}: {state} ()")


def shown(name: str, severity, labels: dict[str, str], stage=0, day="") -> Alert:
    return Alert(name, severity, name, "", labels, START, day=day, stage=stage)


def of_days(name: str, kind, severity="critical", stage=0) -> Alert:
    return shown(name, severity, labels_of_days(kind, "events", "mongo"), stage, DAY)


FAILURES = {
    "export: source down": failed("export", DOWN, DAY),
    "snapshot: source down": failed("snapshot", DOWN, subject="mongo"),
    "guard: source down": failed("guard", DOWN),
    "recount: damaged": failed("recount", f"{NOT_AS_STORED}\n  found: object_matches_x: y", DAY),
    "recount: differs": failed("recount", f"{NOT_AS_STORED}\n  found: rows_equal_source: y", DAY),
    "recount: fewer": failed(
        "recount", "the source counts fewer rows than when the day was exported", DAY
    ),
    "guard: damaged": held("damaged"),
    "guard: differs": held("differs"),
    "guard: missing": held("missing"),
    "guard: late": held("late"),
    "guard: on hold": held("held"),
    "guard: clock": failed("guard", "the server's clock and this machine's are 99 s apart"),
    "guard: S3": failed("guard", REFUSED, "", GUARD, LAKE),
    "retention: S3": failed("retention", REFUSED, "", "retention", LAKE),
    "guard: audit log": failed("guard", LOG, "", GUARD, LAKE),
    "retention: audit log": failed("retention", LOG, "", "retention", LAKE),
    "retention: damaged": failed(
        "retention",
        "something past its retention was not deleted\ntable events: the manifest can't be read; "
        f"`lake drop events --day {DAY} --force` removes it",
        "",
        "retention",
        "",
    ),
    "retention: a snapshot": failed(
        "retention",
        "something past its retention was not deleted\nsnapshot mongo: its manifest can't be read",
        "",
        "retention",
        "",
    ),
}
LEDGER = {
    "expiring": of_days("LakeRowsExpiring", "unproven", "warning", 1),
    "lost": shown("LakeRowsLost", "critical", {"dataset": "events", "source": "mongo"}, 3),
    "damaged": of_days("LakeDayDamaged", "damaged"),
    "differs": of_days("LakeDayDiffers", "differs", "warning"),
    "no export": shown("LakeNoExportSuccess", "warning", {}, day=DAY),
    "silent": shown("LakeGuardSilent", "critical", {"dataset": "events"}),
    "verification": of_days("LakeVerifyFailed", "damaged"),
    "verification: audit log": shown("LakeVerifyFailed", "critical", labels_of_records()),
    "S3": unreadable("S3 refused", REFUSED),
}
GUARDS = [name for name in FAILURES if name.startswith("guard")]
UNPROVEN = ("guard: missing", "guard: late")


def together(*names: str) -> set[tuple[str, str]]:
    return set(permutations(names, 2))


ONE = (
    together("export: source down", "snapshot: source down", "guard: source down")
    | together("guard: S3", "retention: S3", "S3")
    | together("guard: audit log", "retention: audit log", "verification: audit log")
    | together("recount: damaged", "guard: damaged", "retention: damaged", "damaged",
               "verification")
    | together("recount: differs", "recount: fewer", "guard: differs", "differs")
    | together(*UNPROVEN, "expiring")
    # None runs, so rows go and a guard holds them.
    | together("expiring", "no export")
    | {pair for guard in UNPROVEN for pair in together(guard, "no export")}
    # An export fails, so … The other way round it is news why.
    | {("export: source down", then) for then in ("expiring", "no export", *UNPROVEN)}
    | {("recount: damaged", "no export"), ("recount: differs", "no export"),
       ("recount: fewer", "no export")}
    # A guard holds a late day that can't be counted, or is silent because it fails.
    | {(guard, "silent") for guard in GUARDS}
    | {("lost", "guard: missing")}
)  # fmt: skip
NEVER = {  # a recount of a day and a guard that misses it
    *product(("recount: damaged", "recount: differs", "recount: fewer"), ("expiring", *UNPROVEN)),
    *product(("expiring", *UNPROVEN), ("recount: damaged", "recount: differs", "recount: fewer")),
}


class Operation:
    """Ticks as the sensor's: the notifications' state is text in between."""

    def __init__(self) -> None:
        self.recorder, self.text, self.now = Recorder("a"), "", START
        self.explained: set[str] = set()

    def tick(self, *names: str, hours: float = 24) -> None:
        self.now += timedelta(hours=hours)
        failures = {
            name: Failure(**{**FAILURES[name].__dict__, "explained": name in self.explained})
            for name in names
            if name in FAILURES
        }
        ledger = [LEDGER[name] for name in names if name in LEDGER]
        notifications = Notifications.from_json(self.text)
        is_open = notifications.open
        notifications.update(firing(failures.values(), ledger, is_open), self.now)
        explained = explained_by(ledger, failures.values(), is_open)
        self.explained |= {name for name, failure in failures.items() if failure in explained}
        notifications.send([self.recorder], self.now)
        self.text = notifications.to_json()

    @property
    def begun(self) -> int:
        """The number of alerts; another message of one that is open is none."""
        is_open, number = set[str](), 0
        for alert in self.recorder.alerts:
            if alert.is_resolved:
                is_open.remove(alert.key)
            else:
                number += alert.key not in is_open
                is_open.add(alert.key)
        return number


@pytest.mark.parametrize(
    ("first", "then"),
    [pair for pair in permutations([*FAILURES, *LEDGER], 2) if pair not in NEVER],
)
def test_a_pair(first, then):
    """The one, both for two ticks, neither."""
    operation = Operation()
    for names in ([first], [first, then], [then, first], []):
        operation.tick(*names)
    assert operation.begun == (1 if (first, then) in ONE else 2)
    ends = [alert.key for alert in operation.recorder.alerts if alert.is_resolved]
    assert len(ends) == len(set(ends)) == operation.begun


@pytest.mark.parametrize(("ledger", "guard"), [
    ("expiring", "guard: missing"), ("no export", "guard: missing"), ("no export", "guard: late"),
    ("damaged", "guard: damaged"), ("differs", "guard: differs"),
    ("export: source down", "guard: late"),
])  # fmt: skip
def test_a_guard_is_explained_until_it_runs_again(ledger, guard):
    operation = Operation()
    for names in ([ledger], [ledger, guard], [guard], [guard]):
        operation.tick(*names)
    assert [alert.is_resolved for alert in operation.recorder.alerts] == [False, True]
    operation.explained.clear()  # the next night: it holds the day still
    operation.tick(guard)
    assert operation.begun == 2


def test_a_late_day_stays_open_when_rows_that_the_ledger_misses_are_there():
    """A dataset that nobody exports or counts: a day is late, another missing."""
    operation = Operation()
    for names in (["guard: late"], ["guard: late", "expiring"], ["guard: late"]):
        operation.tick(*names)
    assert operation.recorder.received == ["+LakeGuardFailed"]
    operation.tick()
    assert operation.recorder.received == ["+LakeGuardFailed", "-LakeGuardFailed"]


URGENT = [("export: source down", "expiring"), ("guard: missing", "expiring"),
          ("guard: late", "expiring"), ("no export", "expiring")]  # fmt: skip


@pytest.mark.parametrize(("first", "then"), URGENT)
def test_the_hour_and_the_escalation_are_messages_of_the_first_alert(first, then, monkeypatch):
    """Early, with the hour, and again when it is critical; nothing else."""
    operation = Operation()
    operation.tick(first)
    operation.tick(first, then)
    operation.tick(first, then)
    soon = of_days("LakeRowsExpiring", "unproven", "critical", 2)
    monkeypatch.setitem(LEDGER, then, soon)
    operation.tick(first, then)
    operation.tick(first, then)
    sent = [(alert.severity, alert.stage) for alert in operation.recorder.alerts]
    early = [("warning", 1)]
    if first == "export: source down":
        early = [("critical", 0), ("critical", 1)]
    if first == "no export":
        early = [("warning", 0), ("warning", 1)]
    assert sent == [*early, ("critical", 2)]
    last = operation.recorder.alerts[-1]
    assert "LakeRowsExpiring" in last.summary + last.description
    assert {alert.name for alert in operation.recorder.alerts} == {
        operation.recorder.alerts[0].name
    }
