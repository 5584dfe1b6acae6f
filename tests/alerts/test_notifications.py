"""Which channel is notified of what, and how often; what one cause is."""

from __future__ import annotations

import json
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

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
from lake.alerts.failures import NOT_AS_STORED, labels_of_damage
from lake.base.errors import TransientError

START = datetime(2026, 11, 28, tzinfo=UTC)
MINUTE = timedelta(minutes=1)


@dataclass
class Recorder:
    """A channel in memory; `failing` makes it fail."""

    name: str
    keeps_state: bool = False
    failing: bool = False
    received: list[str] = field(default_factory=list)

    def send(self, alert: Alert) -> None:
        if self.failing:
            raise TransientError("no answer")
        self.received.append(("-" if alert.is_resolved else "+") + alert.name)


def alert(name: str, severity="warning") -> Alert:
    return Alert(name, severity, name, started_at=START)


def rounds(recorders: list[Recorder], *firing: set[str], every=MINUTE) -> Notifications:
    """One round each, the state kept as text in between."""
    text = ""
    for number, names in enumerate(firing):
        notifications = Notifications.from_json(text)
        now = START + number * every
        notifications.update([alert(name) for name in names], now)
        notifications.send(recorders, now)
        text = notifications.to_json()
    return Notifications.from_json(text)


def test_one_message_when_it_begins_and_one_when_it_ends():
    recorder = Recorder("a")
    notifications = rounds([recorder], {"x"}, {"x", "y"}, {"x", "y"}, {"y"}, {"y"}, set(), set())
    assert recorder.received == ["+x", "+y", "-x", "-y"]
    assert notifications.to_json() == "[]"


def test_what_another_version_kept_besides_is_ignored():
    recorder = Recorder("a")
    (entry,) = json.loads(rounds([recorder], {"x"}).to_json())
    again = Notifications.from_json(json.dumps([entry | {"told": ["a"]}]))
    again.update([], START + MINUTE)
    again.send([recorder], START + MINUTE)
    assert recorder.received == ["+x", "-x"]


def test_a_slow_channel_is_left_for_the_next_round(monkeypatch):
    clock = [0.0]
    monkeypatch.setattr("lake.alerts.channels.time.monotonic", lambda: clock[0])

    class Slow(Recorder):
        def send(self, alert: Alert) -> None:
            clock[0] += 6
            super().send(alert)

    for failing in (False, True):
        slow, quick = Slow("slow", failing=failing), Recorder("quick")
        names = {f"x{n}" for n in range(5)}
        notifications = rounds([slow, quick], names)
        assert sorted(quick.received) == [f"+x{n}" for n in range(5)]
        assert len(slow.received) == (0 if failing else 2)  # two take the round's 10 seconds
        slow.failing = False
        for number in range(2):
            notifications.send([slow, quick], START + number * MINUTE)
            assert len(slow.received) == (2 if failing else 4) + number * (1 if not failing else 2)
        assert len(quick.received) == 5


def test_what_fails_each_time_holds_nothing_else_up(monkeypatch):
    clock = [0.0]
    monkeypatch.setattr("lake.alerts.channels.time.monotonic", lambda: clock[0])

    class Choosy(Recorder):
        def send(self, alert: Alert) -> None:
            if alert.name == "x0":
                clock[0] += 20
                raise TransientError("no answer")
            super().send(alert)

    recorder = Choosy("a")
    notifications = Notifications()
    notifications.update([alert("x0")], START)
    notifications.send([recorder], START)
    notifications.update([alert("x0"), alert("x1")], START + MINUTE)
    notifications = Notifications.from_json(notifications.to_json())
    notifications.send([recorder], START + MINUTE)
    assert recorder.received == ["+x1"]


def test_it_may_come_again():
    recorder = Recorder("a")
    rounds([recorder], {"x"}, set(), {"x"}, {"x"}, set())
    assert recorder.received == ["+x", "-x", "+x", "-x"]


def test_what_is_not_accepted_is_sent_again_to_that_channel_alone():
    good, bad = Recorder("good"), Recorder("bad", failing=True)
    notifications = Notifications()
    for number in range(3):
        bad.failing = number < 2
        notifications.update([alert("x")], START + number * MINUTE)
        notifications = Notifications.from_json(notifications.to_json())
        notifications.send([good, bad], START + number * MINUTE)
    assert (good.received, bad.received) == (["+x"], ["+x"])


def test_a_mistake_of_a_channel_stops_no_other():
    class Wrong(Recorder):
        def send(self, alert: Alert) -> None:
            raise ValueError("not foreseen")

    good, notifications = Recorder("good"), Notifications()
    notifications.update([alert("x")], START)
    sent = notifications.send([Wrong("wrong"), good], START)
    assert good.received == ["+x"]
    assert ["not foreseen" in str(delivery.error) for _, delivery in sent] == [True, False]


def test_no_end_is_sent_to_a_channel_that_never_received_the_alert():
    failing = Recorder("failing", failing=True)
    notifications = rounds([failing], {"x"})
    failing.failing = False
    notifications.update([], START + MINUTE)
    notifications.send([failing], START + MINUTE)
    assert failing.received == []
    assert notifications.to_json() == "[]"


def test_alertmanager_hears_it_every_hour():
    recorder = Recorder("alertmanager", keeps_state=True)
    plain = Recorder("webhook")
    rounds([recorder, plain], *[{"x"}] * 13, every=10 * MINUTE)
    assert recorder.received == ["+x", "+x", "+x"]
    assert plain.received == ["+x"]


def test_a_worse_state_is_a_message():
    recorder, notifications = Recorder("a"), Notifications()
    for severity in ("warning", "warning", "critical", "critical"):
        notifications.update([alert("x", severity)], START)
        notifications.send([recorder], START)
    assert recorder.received == ["+x", "+x"]
    assert [firing.severity for firing in notifications.open] == ["critical"]
    notifications.update([], START)
    notifications.send([recorder], START)
    assert recorder.received[-1] == "-x"


def test_a_channel_that_is_added_later_hears_what_is_open():
    first, second = Recorder("first"), Recorder("second")
    notifications = rounds([first], {"x"})
    notifications.send([first, second], START)
    assert (first.received, second.received) == (["+x"], ["+x"])


@given(
    st.lists(st.sets(st.sampled_from("xyz")), max_size=12),
    st.lists(st.booleans(), min_size=12, max_size=12),
)
def test_what_arrives_alternates_and_ends_as_it_is(firing, failing):
    """With a channel that fails at any rounds: each + is followed by its −, never two alike."""
    recorder, notifications = Recorder("a"), Notifications()
    for number, names in enumerate([*firing, firing[-1] if firing else set()]):
        recorder.failing = number < len(firing) and failing[number]
        now = START + number * MINUTE
        notifications.update([alert(name) for name in names], now)
        notifications.send([recorder], now)
        notifications = Notifications.from_json(notifications.to_json())
    for name in "xyz":
        signs = [message[0] for message in recorder.received if message[1] == name]
        assert signs == ["+", "-"] * (len(signs) // 2) + ["+"] * (len(signs) % 2)
    if firing:
        last = {message[1]: message[0] for message in recorder.received}
        assert {name for name, sign in last.items() if sign == "+"} == firing[-1]


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
    return Alert(name, "critical", name, labels={"dataset": "events"}, started_at=at)


def damage_by_verification(at: datetime) -> Alert:
    labels = labels_of_damage("events", "mongo")
    return Alert("LakeVerifyFailed", "critical", "", labels=labels, started_at=at)


def test_a_guard_that_holds_what_the_ledger_reports_is_no_cause_of_its_own():
    held = failure("events", "", "documents are held, for a day is missing", operation="guard")
    assert [shown.name for shown in firing([held], [])] == ["LakeGuardFailed"]
    assert [shown.name for shown in firing([held], [ledger("LakeRowsExpiring")])] == [
        "LakeRowsExpiring"
    ]
    other = Alert("LakeRowsExpiring", "critical", "", labels={"dataset": "users"}, started_at=START)
    assert len(firing([held], [other])) == 2


DAMAGED = "documents are held, for a day is damaged"


def test_whatever_finds_damage_first_reports_it():
    guard = failure("events", "", DAMAGED, operation="guard")
    recount = failure("events", "2026-07-01", f"{NOT_AS_STORED}\n  where: x", operation="recount")
    for minutes, name in ((-1, "LakeVerifyFailed"), (1, "LakeGuardFailed")):
        verified = damage_by_verification(START + minutes * MINUTE)
        (shown,) = firing([guard, replace(recount, at=START + 2 * MINUTE)], [verified])
        assert (shown.name, shown.severity) == (name, "critical")
    recorder, notifications = Recorder("a"), Notifications()
    for number, (failed, found) in enumerate(
        [([recount], False), ([recount, guard], False), ([guard], True), ([], True), ([], False)]
    ):
        known = [damage_by_verification(START)] if found else []
        notifications.update(firing(failed, known), START + number * MINUTE)
        notifications.send([recorder], START + number * MINUTE)
    assert recorder.received == ["+LakeRecountFailed", "-LakeRecountFailed"]
    for name in ("LakeDayDamaged", "LakeDayDiffers"):
        assert [shown.name for shown in firing([guard, recount], [ledger(name)])] == [name]
    late = failure("events", "", "documents are held, for a day is late", operation="guard")
    assert len(firing([late], [damage_by_verification(START)])) == 2


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
            ("guard of expiry", "", "guard", ""),
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
    night = failure("events", "", "held: 1 day is not exported", operation="guard")
    late = ledger("LakeRowsExpiring")
    assert [shown.name for shown in firing([night], [late])] == ["LakeRowsExpiring"]
    assert explained_by([late], [night]) == [night]
    known = replace(night, explained=True)
    assert explained_by([], [known]) == [known]
    assert firing([known], []) == []
    assert [shown.name for shown in firing([night], [])] == ["LakeGuardFailed"]
    of_another = failure("users", "", "held: 1 day is not exported", operation="guard")
    assert explained_by([late], [of_another]) == []


def test_a_guard_that_is_silent_because_it_fails_is_one_cause():
    silent = [ledger("LakeGuardSilent")]
    for subject in ("events", "guard of expiry"):
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
    held = failure("events", "", "documents are held, for a day is missing", operation="guard")
    shown = [known.name for known in firing([held], [*silent, ledger("LakeRowsExpiring")])]
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
    some = [failure("events", day, "no answer") for day in days(1, 3)]
    more = [*some, failure("users", "2026-07-09", "no answer")]
    assert alerts_of(some)[0].key == alerts_of(more)[0].key
