"""Which alerts are open, and which channel has heard what.

Belongs here: one message when a cause opens, one when it ends, to each channel; what failed to be
delivered is sent again. Does not: what is wrong, sending.

The state is kept as JSON between two rounds. A round that ends between sending and keeping it sends
the same message again: at least once, not exactly once.
"""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Collection, Iterable
from dataclasses import asdict, dataclass, field, replace
from datetime import datetime, timedelta

from lake.alerts.alert import SEVERITIES, Alert
from lake.alerts.channels import Channel, Delivery, deliver

_AGAIN = timedelta(hours=1)  # to channels that forget what is not repeated
_ROUND_S = 10.0  # of one channel: a round that takes too long is ended, and its state is lost
_GIVEN_UP = timedelta(days=2)  # a resolved message that no channel takes is news no more


@dataclass
class _Entry:
    """One alert. `told` are the channels that accepted it as it is now, `fired` those that
    accepted it as firing: only these receive its end. `failed` is the number of deliveries that
    failed.
    """

    alert: Alert
    told: list[str] = field(default_factory=list)
    fired: list[str] = field(default_factory=list)
    repeated_at: str = ""
    failed: int = 0


class Book:
    """The open alerts, and the ended ones that some channel has not received yet."""

    def __init__(self, entries: Iterable[_Entry] = ()) -> None:
        self._entries = {entry.alert.key: entry for entry in entries}

    @property
    def open(self) -> list[Alert]:
        """Those that are firing, in the order in which they began."""
        alerts = [entry.alert for entry in self._entries.values() if not entry.alert.is_resolved]
        return sorted(alerts, key=lambda alert: alert.started_at)

    def update(self, firing: Collection[Alert], now: datetime) -> None:
        """Takes what is firing now; what no longer is has ended.

        An alert that is known keeps its name and its beginning, and takes the newer texts. One that
        becomes more severe is sent again; none becomes less severe before it ends.
        """
        keys = {alert.key for alert in firing}
        for alert in firing:
            known = self._entries.get(alert.key)
            if known is None:
                self._entries[alert.key] = _Entry(alert)
            elif known.alert.is_resolved:  # who has not heard of the end need not hear of this
                still = sorted(set(known.fired) - set(known.told))
                self._entries[alert.key] = _Entry(alert, list(still), still)
            else:
                before = known.alert
                fresh = replace(alert, name=before.name, started_at=before.started_at)
                if SEVERITIES.index(alert.severity) > SEVERITIES.index(before.severity):
                    self._entries[alert.key] = _Entry(fresh, fired=known.fired)
                else:
                    known.alert = replace(fresh, severity=before.severity)
        for key, entry in list(self._entries.items()):
            if key not in keys and not entry.alert.is_resolved:
                entry.alert, entry.told = replace(entry.alert, ended_at=now), []

    def send(self, channels: Collection[Channel], now: datetime) -> list[tuple[Alert, Delivery]]:
        """Sends what each channel has not heard yet. Entries that are done with are dropped.

        A channel that is slow gets the rest in the next rounds, what failed before last.
        """
        sent = []
        spent: dict[str, float] = defaultdict(float)
        for entry in sorted(self._entries.values(), key=lambda entry: entry.failed):
            slow = {name for name, seconds in spent.items() if seconds >= _ROUND_S}
            without = self._deaf(entry, channels, now) | slow
            for delivery in deliver(channels, entry.alert, without):
                sent.append((entry.alert, delivery))
                spent[delivery.channel] += delivery.seconds
                if delivery.error is None:
                    self._heard(entry, delivery.channel, now)
                else:
                    entry.failed += 1
        names = {channel.name for channel in channels}
        for key, entry in list(self._entries.items()):
            ended = entry.alert.ended_at
            if ended and (
                not (set(entry.fired) & names) - {*entry.told} or now - ended > _GIVEN_UP
            ):
                del self._entries[key]
        return sent

    def _deaf(self, entry: _Entry, channels: Collection[Channel], now: datetime) -> set[str]:
        """The channels that are not to hear of it now."""
        names = {channel.name for channel in channels}
        if entry.alert.is_resolved:
            return (names - set(entry.fired)) | set(entry.told)
        last = datetime.fromisoformat(entry.repeated_at) if entry.repeated_at else None
        due = last is None or now - last >= _AGAIN
        forgetful = {channel.name for channel in channels if channel.keeps_state} if due else set()
        return set(entry.told) - forgetful

    def _heard(self, entry: _Entry, channel: str, now: datetime) -> None:
        entry.told = sorted({*entry.told, channel})
        if not entry.alert.is_resolved:
            entry.fired = sorted({*entry.fired, channel})
            entry.repeated_at = now.isoformat()

    def to_json(self) -> str:
        """The state, for `from_json`."""
        return json.dumps(
            [asdict(entry) | {"alert": entry.alert.to_json()} for entry in self._entries.values()],
            separators=(",", ":"),
        )

    @classmethod
    def from_json(cls, text: str) -> Book:
        """Empty text: nothing is known yet."""
        entries = json.loads(text) if text else []
        return cls(
            _Entry(**{**entry, "alert": Alert.from_json(entry["alert"])}) for entry in entries
        )
