"""What one cause is: failures alone, and with what the ledger shows."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest
from support.recorder import Recorder

from lake.alerts import (
    Alert,
    Failure,
    Notifications,
    alerts_of,
    explained_by,
    firing,
    place_of,
    unreadable,
)
from lake.alerts.failures import HELD, NOT_AS_STORED, labels_of_days

START = datetime(2026, 11, 28, tzinfo=UTC)
MINUTE = timedelta(minutes=1)
DAY = "2026-07-01"


def failure(subject: str, day: str, text: str, operation="export", source="mongo") -> Failure:
    return Failure(operation, subject, source, text, START, day)


def days(first: int, last: int) -> list[str]:
    return [f"2026-07-{day:02}" for day in range(first, last + 1)]


def test_a_quarter_that_fails_for_one_cause_is_one_message():
    failures = [
        failure(name, day, f"no answer to the query of {day}\n  where: 10.0.0.1 {number}")
        for name in ("events", "users")
        for number, day in enumerate(days(1, 31))
    ]
    (message,) = alerts_of(failures)
    assert (message.name, message.severity, message.labels["source"]) == (
        "LakeExportFailed",
        "critical",
        "mongo",
    )
    assert message.summary == (
        "export failed: 2 datasets, 62 days (2026-07-01 … 2026-07-31): "
        "no answer to the query of 2026-07-01"
    )
    assert message.description.startswith("datasets: events, users\nno answer")


def test_one_error_of_a_source_is_one_cause_whatever_fails_by_it():
    failures = [
        failure("events", "2026-07-01", "no answer", operation="recount"),
        failure("events", "2026-07-02", "no answer"),
        failure("mongo", "", "no answer", operation="snapshot"),
        failure("events", "", "no answer", operation="guard"),
    ]
    messages = alerts_of(failures)
    assert len(messages) == 1, messages
    message = messages[0]
    assert message.severity == "critical"
    assert "also failed by it: " in message.description
    (less,) = alerts_of(failures[2:3])
    assert (less.key, less.name) == (message.key, "LakeSnapshotFailed")
    notifications = Notifications()
    notifications.update([message], START)
    notifications.update([less], START)
    assert [(known.name, known.severity) for known in notifications.open] == [
        (message.name, "critical")
    ]


def ledger(name: str, at: datetime = START) -> Alert:
    kinds = {"LakeDayDamaged": "damaged", "LakeDayDiffers": "differs",
             "LakeRowsExpiring": "unproven"}  # fmt: skip
    labels = {"dataset": "events"}
    if name in kinds:
        labels = labels_of_days(kinds[name], "events", "mongo")
    return Alert(name, "critical", name, labels=labels, started_at=at, day=DAY)


def held(state: str, subject: str = "events", first: str = DAY) -> Failure:
    """A guard that fails, with its reason as assets.guard has it."""
    text = f"{HELD} {state}\n1 day, the first is {first}: {state} ()"
    return failure(subject, "", text, operation="guard")


def damage_by_verification(at: datetime) -> Alert:
    labels = labels_of_days("damaged", "events", "mongo")
    return Alert("LakeVerifyFailed", "critical", "", labels=labels, started_at=at)


def test_a_guard_that_holds_what_the_ledger_reports_is_no_cause_of_its_own():
    missing = held("missing")
    assert [shown.name for shown in firing([missing], [])] == ["LakeGuardFailed"]
    for name in ("LakeRowsExpiring", "LakeRowsLost"):
        assert [shown.name for shown in firing([missing], [ledger(name)])] == [name]
    labels = labels_of_days("unproven", "users", "mongo")
    other = Alert("LakeRowsExpiring", "critical", "", labels=labels, started_at=START)
    assert len(firing([missing], [other])) == 2


def test_whatever_finds_damage_first_reports_it():
    guard = held("damaged")
    recount = failure("events", "2026-07-01", f"{NOT_AS_STORED}\n  where: x", operation="recount")
    for minutes, name in ((-1, "LakeVerifyFailed"), (1, "LakeGuardFailed")):
        verified = damage_by_verification(START + minutes * MINUTE)
        (shown,) = firing([guard, replace(recount, at=START + 2 * MINUTE)], [verified])
        assert (shown.name, shown.severity) == (name, "critical")
    recorder, notifications = Recorder("a"), Notifications()
    for number, (failed, verify_fails) in enumerate(
        [([recount], False), ([recount, guard], False), ([guard], True), ([], True), ([], False)]
    ):
        known = [damage_by_verification(START)] if verify_fails else []
        notifications.update(firing(failed, known), START + number * MINUTE)
        notifications.send([recorder], START + number * MINUTE)
    assert recorder.received == ["+LakeRecountFailed", "-LakeRecountFailed"]
    first = ledger("LakeDayDamaged", START - MINUTE)
    assert [shown.name for shown in firing([recount], [first])] == ["LakeDayDamaged"]
    assert len(firing([held("late")], [damage_by_verification(START)])) == 2


REFUSED = "S3 refused\n  where: s3://bucket/lake/{key}\n  found: ExpiredToken: it has expired"


@pytest.mark.parametrize(("text", "root", "place"), [
    (REFUSED.format(key="manifests/events/"), "s3://bucket/lake", "lake"),
    (REFUSED.format(key=""), "s3://bucket/lake/", "lake"),
    ("no room\n  where: /srv/lake/tables/x", "/srv/lake", "lake"),
    (REFUSED.format(key=""), "s3://bucket/lake2", "mongo"),
    (REFUSED.format(key=""), "s3://other", "mongo"),
    ("no answer\n  where: mongodb://127.0.0.1:1", "s3://bucket/lake", "mongo"),
    ("2 days\n2026-07-01: S3 refused\n  where: s3://bucket/lake/x", "s3://bucket/lake", "mongo"),
    ("killed", "s3://bucket/lake", "mongo"),
])  # fmt: skip
def test_whose_failure_it_is(text, root, place):
    assert place_of(text, root, "mongo") == place


def test_a_bucket_that_refuses_is_one_cause_of_everything():
    """Whichever operation is first, and whenever the ledger is read."""
    text = REFUSED.format(key="manifests/")
    failures = [
        failure(subject, day, text, operation, place_of(text, "s3://bucket/lake", source))
        for subject, day, operation, source in (
            ("events", "2026-07-01", "export", "mongo"),
            ("lines", "2026-07-01", "export", "loki"),
            ("mongo", "", "snapshot", "mongo"),
            ("expiry guard", "", "guard", ""),
            ("retention", "", "retention", ""),
        )
    ]
    recorder, notifications = Recorder("a"), Notifications()
    for number, (failed, unread) in enumerate(
        [(failures[:1], False), (failures, False), (failures, True), (failures[2:], False), ((), 0)]
    ):
        known = [unreadable("S3 refused", text)] if unread else []
        notifications.update(firing(failed, known), START + number * MINUTE)
        notifications.send([recorder], START + number * MINUTE)
    assert recorder.received == ["+LakeExportFailed", "-LakeExportFailed"]


def test_an_explained_guard_is_no_cause_when_the_explanation_ends():
    """Not before it has run again: whether it is still held is not known until then."""
    night = held("missing")
    late = ledger("LakeRowsExpiring")
    assert [shown.name for shown in firing([night], [late])] == ["LakeRowsExpiring"]
    assert explained_by([late], [night]) == [night]
    known = replace(night, explained=True)
    assert explained_by([], [known]) == [known]
    assert firing([known], []) == []
    assert [shown.name for shown in firing([night], [])] == ["LakeGuardFailed"]
    of_another = held("missing", "users")
    assert explained_by([late], [of_another]) == []


def test_a_guard_that_is_silent_because_it_fails_is_one_cause():
    silent = [ledger("LakeGuardSilent")]
    for subject in ("events", "expiry guard"):
        failed = failure(subject, "", "no answer", operation="guard")
        (shown,) = firing([failed], silent)
        assert (shown.name, shown.severity) == ("LakeGuardFailed", "critical")
        assert [shown.severity for shown in firing([failed], [])] == ["warning"]
    other = failure("users", "", "no answer", operation="guard")
    assert sorted(shown.name for shown in firing([other], silent)) == [
        "LakeGuardFailed",
        "LakeGuardSilent",
    ]
    # One that is held by what the ledger reports has run.
    known = [*silent, ledger("LakeRowsExpiring")]
    shown = [alert.name for alert in firing([held("missing")], known)]
    assert shown == ["LakeGuardSilent", "LakeRowsExpiring"]


def test_other_causes_are_other_messages():
    failures = [
        failure("events", "2026-07-01", "no answer"),
        failure("lines", "2026-07-01", "no answer", source="loki"),
        failure("events", "2026-07-02", "12 rows were read, 13 counted"),
        failure("events", "2026-07-03", "9 rows were read, 10 counted"),
        failure("mongo", "", "no space", operation="snapshot"),
    ]
    alerts = alerts_of(failures)
    assert len(alerts) == 4
    assert len({message.key for message in alerts}) == 4
    assert [message.summary for message in alerts if "counted" in message.summary] == [
        "export failed: events, 2 days (2026-07-02 … 2026-07-03): 12 rows were read, 13 counted"
    ]


def test_the_identity_stays_when_more_of_it_fails():
    failures = [failure("events", day, "no answer") for day in days(1, 3)]
    more = [*failures, failure("users", "2026-07-09", "no answer")]
    assert alerts_of(failures)[0].key == alerts_of(more)[0].key
