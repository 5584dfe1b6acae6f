"""The alerts of a lake in operation: what failed, what is sent of it, the heartbeat.

Belongs here: what a failed run becomes, what the sensor of alerts does at an evaluation. Does not:
the runs (operated_site), which failures happen (operation_faults).
"""

from __future__ import annotations

import datetime as dt
from dataclasses import dataclass, field, replace
from typing import Any

from lake.alerts import (
    Alert,
    Failure,
    Notifications,
    conditions,
    explained_by,
    firing,
    open_channels,
    place_of,
    unreadable,
)
from lake.alerts.cycle import finished_cycle
from lake.alerts.heartbeat import ping
from lake.base.day import Day
from lake.base.errors import LakeError
from lake.query.cached_store import cached_store
from lake.systems.registry import daily_systems
from support.operated_surroundings import Surroundings
from support.receivers import Receiver


@dataclass(frozen=True)
class Message:
    """What the webhook has accepted, and when."""

    at: dt.datetime
    alert: Alert


@dataclass
class Alerting(Surroundings):
    """`off` are schedules that are switched off, or datasets that they leave out. `undelivered` are
    errors of messages, `refused` their number. `closely`: it is evaluated at night, too.
    """

    receiver: Receiver = field(kw_only=True)
    closely: bool = False
    off: set[str] = field(default_factory=set)
    failures: dict[tuple[str, str, str], Failure] = field(default_factory=dict)
    notifications: Notifications = field(default_factory=Notifications)
    sent: list[Message] = field(default_factory=list)
    undelivered: list[str] = field(default_factory=list)
    refused: int = 0
    pinged: set[Day] = field(default_factory=set)

    def begun(self, since: dt.datetime) -> list[str]:
        """The names of the alerts of which the first message was sent since then. Another message
        of one that is open has to be more urgent.
        """
        names, is_open = [], dict[str, Alert]()
        for message in self.sent:
            alert = message.alert
            if alert.is_resolved:
                del is_open[alert.key]
                continue
            if before := is_open.get(alert.key):
                worse = (alert.severity, before.severity) == ("critical", "warning")
                assert worse or alert.stage > before.stage, (before.title, alert.title)
            elif message.at >= since:
                names.append(alert.name)
            is_open[alert.key] = alert
        return names

    def failed(
        self,
        operation: Any,
        subject: str,
        source: str,
        text: str,
        day: str = "",
        *,
        part: str = "",
        since: Failure | None = None,
    ) -> None:
        """`part`: of a guard, which of its reasons."""
        known = self.failures.get((operation, subject, day or part)) or since
        at = known.at if known else self.now
        place = place_of(text, self.settings.lake.root, source)
        failure = Failure(operation, subject, place, text, at, day)
        self.failures[operation, subject, day or part] = failure

    def succeeded(self, operation: str) -> dict[tuple[str, str, str], Failure]:
        """Drops the operation's failures, and returns them."""
        keys = [key for key in self.failures if key[0] == operation]
        return {key: self.failures.pop(key) for key in keys}

    def tick(self, *, brief: bool = False) -> None:
        """As the sensor `send_alerts`; the brief ones only while something is wrong."""
        if "daemon" in self.off or (brief and not (self.closely or self.failures)):
            return
        settings, store = self.settings, self.store
        try:
            known = conditions(settings, cached_store(settings, store), self.now)
        except LakeError as error:
            known = [unreadable(error.what, str(error))]
        is_open = self.notifications.open
        self.notifications.update(firing(self.failures.values(), known, is_open), self.now)
        explained = explained_by(known, self.failures.values(), is_open)
        for key, failure in self.failures.items():
            self.failures[key] = replace(failure, explained=failure in explained)
        for alert, delivery in self.notifications.send(open_channels(settings), self.now):
            if delivery.error:
                self.undelivered.append(str(delivery.error))
                self.refused += 1
            else:
                self.sent.append(Message(self.now, alert))
        if self.now.hour < 5 or self.today in self.pinged or self.failures:
            return
        if any(alert.severity == "critical" for alert in self.notifications.open):
            return
        if finished_cycle(settings, store, daily_systems(settings), self.today):
            ping(settings)
            self.pinged.add(self.today)
