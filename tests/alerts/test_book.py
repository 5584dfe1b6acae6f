"""Who hears what, and how often; what one cause is."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lake.alerts import Alert, Book, Failure, alerts_of, firing, place_of, unreadable
from lake.alerts.failures import NOT_AS_STORED, labels_of_damage
from lake.base.errors import TransientError

START = datetime(2026, 11, 28, tzinfo=UTC)
MINUTE = timedelta(minutes=1)


@dataclass
class Ear:
    """A channel in memory; `deaf` makes it fail."""

    name: str
    keeps_state: bool = False
    deaf: bool = False
    heard: list[str] = field(default_factory=list)

    def send(self, alert: Alert) -> None:
        if self.deaf:
            raise TransientError("no answer")
        self.heard.append(("-" if alert.is_resolved else "+") + alert.name)


def alert(name: str, severity="warning") -> Alert:
    return Alert(name, severity, name, started_at=START)


def rounds(ears: list[Ear], *firing: set[str], every=MINUTE) -> Book:
    """One round each, the state kept as text in between."""
    text = ""
    for number, names in enumerate(firing):
        book = Book.from_json(text)
        now = START + number * every
        book.update([alert(name) for name in names], now)
        book.send(ears, now)
        text = book.to_json()
    return Book.from_json(text)


def test_one_message_when_it_begins_and_one_when_it_ends():
    ear = Ear("a")
    book = rounds([ear], {"x"}, {"x", "y"}, {"x", "y"}, {"y"}, {"y"}, set(), set())
    assert ear.heard == ["+x", "+y", "-x", "-y"]
    assert book.to_json() == "[]"


def test_a_slow_channel_is_left_for_the_next_round(monkeypatch):
    clock = [0.0]
    monkeypatch.setattr("lake.alerts.channels.time.monotonic", lambda: clock[0])

    class Slow(Ear):
        def send(self, alert: Alert) -> None:
            clock[0] += 6
            super().send(alert)

    for deaf in (False, True):
        slow, quick = Slow("slow", deaf=deaf), Ear("quick")
        names = {f"x{n}" for n in range(5)}
        book = rounds([slow, quick], names)
        assert sorted(quick.heard) == [f"+x{n}" for n in range(5)]
        assert len(slow.heard) == (0 if deaf else 2)  # two take the round's 10 seconds
        slow.deaf = False
        for number in range(2):
            book.send([slow, quick], START + number * MINUTE)
            assert len(slow.heard) == (2 if deaf else 4) + number * (1 if not deaf else 2)
        assert len(quick.heard) == 5


def test_what_fails_each_time_holds_nothing_else_up(monkeypatch):
    clock = [0.0]
    monkeypatch.setattr("lake.alerts.channels.time.monotonic", lambda: clock[0])

    class Choosy(Ear):
        def send(self, alert: Alert) -> None:
            if alert.name == "x0":
                clock[0] += 20
                raise TransientError("no answer")
            super().send(alert)

    ear = Choosy("a")
    book = Book()
    book.update([alert("x0")], START)
    book.send([ear], START)
    book.update([alert("x0"), alert("x1")], START + MINUTE)
    book = Book.from_json(book.to_json())
    book.send([ear], START + MINUTE)
    assert ear.heard == ["+x1"]


def test_it_may_come_again():
    ear = Ear("a")
    rounds([ear], {"x"}, set(), {"x"}, {"x"}, set())
    assert ear.heard == ["+x", "-x", "+x", "-x"]


def test_what_is_not_accepted_is_sent_again_to_that_channel_alone():
    good, bad = Ear("good"), Ear("bad", deaf=True)
    book = Book()
    for number in range(3):
        bad.deaf = number < 2
        book.update([alert("x")], START + number * MINUTE)
        book = Book.from_json(book.to_json())
        book.send([good, bad], START + number * MINUTE)
    assert (good.heard, bad.heard) == (["+x"], ["+x"])


def test_a_mistake_of_a_channel_stops_no_other():
    class Wrong(Ear):
        def send(self, alert: Alert) -> None:
            raise ValueError("not foreseen")

    good, book = Ear("good"), Book()
    book.update([alert("x")], START)
    sent = book.send([Wrong("wrong"), good], START)
    assert good.heard == ["+x"]
    assert ["not foreseen" in str(delivery.error) for _, delivery in sent] == [True, False]


def test_who_never_heard_of_it_does_not_hear_that_it_is_over():
    deaf = Ear("deaf", deaf=True)
    book = rounds([deaf], {"x"})
    deaf.deaf = False
    book.update([], START + MINUTE)
    book.send([deaf], START + MINUTE)
    assert deaf.heard == []
    assert book.to_json() == "[]"


def test_alertmanager_hears_it_every_hour():
    ear = Ear("alertmanager", keeps_state=True)
    plain = Ear("webhook")
    rounds([ear, plain], *[{"x"}] * 13, every=10 * MINUTE)
    assert ear.heard == ["+x", "+x", "+x"]
    assert plain.heard == ["+x"]


def test_a_worse_state_is_a_message():
    ear, book = Ear("a"), Book()
    for severity in ("warning", "warning", "critical", "critical"):
        book.update([alert("x", severity)], START)
        book.send([ear], START)
    assert ear.heard == ["+x", "+x"]
    assert [firing.severity for firing in book.open] == ["critical"]
    book.update([], START)
    book.send([ear], START)
    assert ear.heard[-1] == "-x"


def test_a_channel_that_is_added_later_hears_what_is_open():
    first, second = Ear("first"), Ear("second")
    book = rounds([first], {"x"})
    book.send([first, second], START)
    assert (first.heard, second.heard) == (["+x"], ["+x"])


@given(
    st.lists(st.sets(st.sampled_from("xyz")), max_size=12),
    st.lists(st.booleans(), min_size=12, max_size=12),
)
def test_what_arrives_alternates_and_ends_as_it_is(firing, deaf):
    """With a channel that fails at any rounds: each + is followed by its −, never two alike."""
    ear, book = Ear("a"), Book()
    for number, names in enumerate([*firing, firing[-1] if firing else set()]):
        ear.deaf = number < len(firing) and deaf[number]
        now = START + number * MINUTE
        book.update([alert(name) for name in names], now)
        book.send([ear], now)
        book = Book.from_json(book.to_json())
    for name in "xyz":
        signs = [message[0] for message in ear.heard if message[1] == name]
        assert signs == ["+", "-"] * (len(signs) // 2) + ["+"] * (len(signs) % 2)
    if firing:
        last = {message[1]: message[0] for message in ear.heard}
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
    book = Book()
    book.update([message], START)
    book.update([less], START)
    assert [(known.name, known.severity) for known in book.open] == [(message.name, "critical")]


def ledger(name: str, at: datetime = START) -> Alert:
    return Alert(name, "critical", name, labels={"dataset": "events"}, started_at=at)


def damage_by_verification(at: datetime) -> Alert:
    labels = labels_of_damage("events", "mongo")
    return Alert("LakeVerifyFailed", "critical", "", labels=labels, started_at=at)


def test_a_guard_that_holds_what_the_ledger_reports_is_no_cause_of_its_own():
    held = failure("events", "", "documents are held, for a day is missing", operation="guard")
    assert [shown.name for shown in firing([held], [])] == ["LakeGuardFailed"]
    assert [shown.name for shown in firing([held], [ledger("LakeRowsGo")])] == ["LakeRowsGo"]
    other = Alert("LakeRowsGo", "critical", "", labels={"dataset": "users"}, started_at=START)
    assert len(firing([held], [other])) == 2


DAMAGED = "documents are held, for a day is damaged"


def test_whatever_finds_damage_first_reports_it():
    guard = failure("events", "", DAMAGED, operation="guard")
    recount = failure("events", "2026-07-01", f"{NOT_AS_STORED}\n  where: x", operation="recount")
    for minutes, name in ((-1, "LakeVerifyFailed"), (1, "LakeGuardFailed")):
        verified = damage_by_verification(START + minutes * MINUTE)
        (shown,) = firing([guard, replace(recount, at=START + 2 * MINUTE)], [verified])
        assert (shown.name, shown.severity) == (name, "critical")
    ear, book = Ear("a"), Book()
    for number, (failed, found) in enumerate(
        [([recount], False), ([recount, guard], False), ([guard], True), ([], True), ([], False)]
    ):
        known = [damage_by_verification(START)] if found else []
        book.update(firing(failed, known), START + number * MINUTE)
        book.send([ear], START + number * MINUTE)
    assert ear.heard == ["+LakeRecountFailed", "-LakeRecountFailed"]
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
    ear, book = Ear("a"), Book()
    for number, (failed, unread) in enumerate(
        [(failures[:1], False), (failures, False), (failures, True), (failures[2:], False), ((), 0)]
    ):
        known = [unreadable("S3 refused", text)] if unread else []
        book.update(firing(failed, known), START + number * MINUTE)
        book.send([ear], START + number * MINUTE)
    assert ear.heard == ["+LakeExportFailed", "-LakeExportFailed"]


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
    shown = [known.name for known in firing([held], [*silent, ledger("LakeRowsGo")])]
    assert shown == ["LakeGuardSilent", "LakeRowsGo"]


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
