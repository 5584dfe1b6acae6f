"""A channel of alerts in memory.

Belongs here: what it received. Does not: claims, channels that are servers (receivers).
"""

from __future__ import annotations

from dataclasses import dataclass, field

from lake.alerts import Alert
from lake.base.errors import TransientError


@dataclass
class Recorder:
    """`failing` makes it fail."""

    name: str
    keeps_state: bool = False
    failing: bool = False
    received: list[str] = field(default_factory=list)
    alerts: list[Alert] = field(default_factory=list)

    def send(self, alert: Alert) -> None:
        if self.failing:
            raise TransientError("no answer")
        self.received.append(("-" if alert.is_resolved else "+") + alert.name)
        self.alerts.append(alert)
