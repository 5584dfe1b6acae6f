"""A webhook that accepts what Slack's incoming webhooks accept; Mattermost's and others do.

Belongs here: the message as JSON. Does not: other channels.
"""

from __future__ import annotations

from dataclasses import dataclass, field

from lake.alerts.alert import Alert
from lake.alerts.posting import post, probe

_LONGEST = 3000
_MARKS = {"critical": ":red_circle:", "warning": ":warning:", "info": ":information_source:"}


@dataclass(frozen=True)
class Webhook:
    """One URL."""

    url: str = field(repr=False)
    ca_file: str = ""
    name: str = "webhook"
    keeps_state: bool = False

    def send(self, alert: Alert) -> None:
        """Posts the message. Raises Refused or TransientError."""
        post("the webhook", self.url, {"text": _text(alert)}, self.ca_file)

    def probe(self) -> None:
        """Whether its host answers. Raises TransientError."""
        probe("the webhook", self.url, self.ca_file)


def _text(alert: Alert) -> str:
    mark = ":white_check_mark:" if alert.is_resolved else _MARKS[alert.severity]
    lines = [f"{mark} *{_escaped(alert.title)}*"]
    if alert.description:
        lines.append(f"```{_escaped(alert.description[:_LONGEST])}```")
    return "\n".join(lines)


def _escaped(text: str) -> str:
    """Slack's three; and no code fence within ours."""
    for sign, entity in (("&", "&amp;"), ("<", "&lt;"), (">", "&gt;")):
        text = text.replace(sign, entity)
    return text.replace("```", "'''")
