"""Alertmanager's API: it groups, routes and silences, and forgets what is not repeated.

Belongs here: an alert as its JSON. Does not: other channels.
https://prometheus.io/docs/alerting/latest/alerts_api/
"""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import timedelta

from lake.alerts.alert import Alert
from lake.alerts.posting import get, post
from lake.base.clock import utc_now

_KEPT = timedelta(hours=3)  # repeated every hour, so one repetition may fail


@dataclass(frozen=True)
class Alertmanager:
    """One server. Firing alerts are to be sent again: see `keeps_state`."""

    url: str = field(repr=False)
    ca_file: str = ""
    name: str = "alertmanager"
    keeps_state: bool = True

    def send(self, alert: Alert) -> None:
        """Sends it firing or resolved. Raises Refused or TransientError."""
        ends = alert.ended_at or utc_now() + _KEPT
        labels = {"alertname": alert.name, "severity": alert.severity, **alert.labels}
        body = {
            "labels": labels,
            "annotations": {"summary": alert.summary, "description": alert.description},
            "startsAt": alert.started_at.isoformat(),
            "endsAt": ends.isoformat(),
        }
        post("Alertmanager", f"{self.url.rstrip('/')}/api/v2/alerts", [body], self.ca_file)

    def probe(self) -> None:
        """Whether it answers as an Alertmanager does. Raises Refused or TransientError."""
        get("Alertmanager", f"{self.url.rstrip('/')}/api/v2/status", self.ca_file)
