"""Which alerts are open, and which of them each channel has been notified of.

Belongs here: one message to each channel when a cause begins and one when it ends; a failed
delivery is repeated. Does not: what is wrong, sending.

The state is stored as JSON between two rounds. A round that is killed after sending and before its
state is stored sends the same message again: delivery is at least once.
"""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Collection, Iterable
from dataclasses import asdict, dataclass, field, replace
from datetime import datetime, timedelta

from lake.alerts.alert import SEVERITIES, Alert
from lake.alerts.channels import Channel, Delivery, deliver

_REPEATED_AFTER = timedelta(hours=1)  # to channels that drop a firing alert unless it is repeated
_ROUND_S = 10.0  # of one channel: a round that takes too long is ended, and its state is lost
_GIVEN_UP = timedelta(days=2)  # after this the end of an alert is no longer worth a message


@dataclass
class _Entry:
    """One alert. `delivered` are the channels that accepted it as it is now, `notified` those that
    accepted it as firing: only these receive its end. `failed` is the number of deliveries that
    failed.
    """

    alert: Alert
    delivered: list[str] = field(default_factory=list)
    notified: list[str] = field(default_factory=list)
    repeated_at: str = ""
    failed: int = 0


class Notifications:
    """The open alerts, and the ended ones that some channel has not received yet."""

    def __init__(self, entries: Iterable[_Entry] = ()) -> None:
        self._entries = {entry.alert.key: entry for entry in entries}

    @property
    def open(self) -> list[Alert]:
        """Those that are firing, in the order in which they began."""
        alerts = [entry.alert for entry in self._entries.values() if not entry.alert.is_resolved]
        return sorted(alerts, key=lambda alert: alert.started_at)

    def update(self, firing: Collection[Alert], now: datetime) -> None:
        """Takes what is firing now; an alert that is no longer among them has ended.

        An alert that is known keeps its name and its beginning, and takes the newer texts. One that
        becomes more severe, or whose rows are nearer to being lost, is sent again; neither becomes
        less before it ends.
        """
        keys = {alert.key for alert in firing}
        for alert in firing:
            known = self._entries.get(alert.key)
            if known is None:
                self._entries[alert.key] = _Entry(alert)
            elif (
                known.alert.is_resolved
            ):  # channels that still await its end are not notified again
                still = sorted(set(known.notified) - set(known.delivered))
                self._entries[alert.key] = _Entry(alert, list(still), still)
            else:
                before = known.alert
                fresh = replace(
                    alert,
                    name=before.name,
                    started_at=before.started_at,
                    severity=max(before.severity, alert.severity, key=SEVERITIES.index),
                    stage=max(before.stage, alert.stage),
                )
                if (fresh.severity, fresh.stage) == (before.severity, before.stage):
                    known.alert = fresh
                else:
                    self._entries[alert.key] = _Entry(fresh, notified=known.notified)
        for key, entry in list(self._entries.items()):
            if key not in keys and not entry.alert.is_resolved:
                entry.alert, entry.delivered = replace(entry.alert, ended_at=now), []

    def send(self, channels: Collection[Channel], now: datetime) -> list[tuple[Alert, Delivery]]:
        """Sends to each channel what it has not received yet, and drops completed entries.

        A slow channel gets the rest in the next rounds; what failed before is sent last.
        """
        sent = []
        spent: dict[str, float] = defaultdict(float)
        for entry in sorted(self._entries.values(), key=lambda entry: entry.failed):
            slow = {name for name, seconds in spent.items() if seconds >= _ROUND_S}
            without = self._not_due(entry, channels, now) | slow
            for delivery in deliver(channels, entry.alert, without):
                sent.append((entry.alert, delivery))
                spent[delivery.channel] += delivery.seconds
                if delivery.error is None:
                    self._record(entry, delivery.channel, now)
                else:
                    entry.failed += 1
        names = {channel.name for channel in channels}
        for key, entry in list(self._entries.items()):
            ended = entry.alert.ended_at
            if ended and (
                not (set(entry.notified) & names) - {*entry.delivered} or now - ended > _GIVEN_UP
            ):
                del self._entries[key]
        return sent

    def _not_due(self, entry: _Entry, channels: Collection[Channel], now: datetime) -> set[str]:
        """The channels to which nothing is sent now."""
        names = {channel.name for channel in channels}
        if entry.alert.is_resolved:
            return (names - set(entry.notified)) | set(entry.delivered)
        last = datetime.fromisoformat(entry.repeated_at) if entry.repeated_at else None
        due = last is None or not timedelta(0) <= now - last < _REPEATED_AFTER  # or set back since
        repeated = {channel.name for channel in channels if channel.keeps_state} if due else set()
        return set(entry.delivered) - repeated

    def _record(self, entry: _Entry, channel: str, now: datetime) -> None:
        entry.delivered = sorted({*entry.delivered, channel})
        if not entry.alert.is_resolved:
            entry.notified = sorted({*entry.notified, channel})
            entry.repeated_at = now.isoformat()

    def to_json(self) -> str:
        """The state, for `from_json`."""
        return json.dumps(
            [asdict(entry) | {"alert": entry.alert.to_json()} for entry in self._entries.values()],
            separators=(",", ":"),
        )

    @classmethod
    def from_json(cls, text: str) -> Notifications:
        """Empty text: nothing is known yet. What another version kept besides is ignored."""
        own = _Entry.__dataclass_fields__.keys()
        stored = json.loads(text) if text else []
        entries = ({name: entry[name] for name in own & entry.keys()} for entry in stored)
        return cls(
            _Entry(**{**entry, "alert": Alert.from_json(entry["alert"])}) for entry in entries
        )
