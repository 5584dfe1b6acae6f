"""Which channel is notified of what, and how often."""

from __future__ import annotations

import json
from dataclasses import replace
from datetime import UTC, datetime, timedelta

from hypothesis import given
from hypothesis import strategies as st
from support.recorder import Recorder

from lake.alerts import Alert, Notifications
from lake.base.errors import TransientError

START = datetime(2026, 11, 28, tzinfo=UTC)
MINUTE = timedelta(minutes=1)


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


def test_rows_that_are_nearer_to_being_lost_are_a_message_of_the_same_alert():
    """As severe as it was: the hour is news. After a restart too, and never backwards."""
    recorder, text = Recorder("a"), ""
    for stage in (0, 0, 1, 1, 2, 0, 2, 3):
        notifications = Notifications.from_json(text)
        notifications.update([replace(alert("x", "critical"), stage=stage)], START)
        notifications.send([recorder], START)
        text = notifications.to_json()
    assert [sent.stage for sent in recorder.alerts] == [0, 1, 2, 3]
    notifications.update([], START)
    notifications.send([recorder], START)
    assert recorder.received == ["+x", "+x", "+x", "+x", "-x"]


def test_what_another_version_kept_of_an_alert_besides_is_ignored():
    """And what it did not keep yet."""
    fields = alert("x").to_json()
    assert Alert.from_json(fields | {"ticket": 7}) == alert("x")
    del fields["stage"], fields["day"]
    assert Alert.from_json(fields) == alert("x")


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


def test_a_clock_that_was_set_back_delays_no_repetition():
    """Alertmanager ends an alert that is not repeated for three hours."""
    keeping = Recorder("a")
    keeping.keeps_state = True
    notifications = Notifications()
    for hours in (0, -2, -1.5, -1):
        notifications.update([alert("x")], START + timedelta(hours=hours))
        notifications.send([keeping], START + timedelta(hours=hours))
    assert keeping.received == ["+x"] * 3  # again at once, and an hour after that
