"""One alert: a cause, its severity, its text.

Belongs here: the value, without secrets. Does not: channels.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from datetime import datetime
from typing import Any, Literal

from lake.base.clock import utc_now
from lake.base.redaction import redact

Severity = Literal["critical", "warning", "info"]
SEVERITIES: tuple[Severity, ...] = ("info", "warning", "critical")
"""The least first."""


@dataclass(frozen=True)
class Alert:
    """`name` and `labels` are its identity: one cause, whatever its text. With a label `cause` the
    labels alone are: a cause by which first an export fails and then a snapshot stays the same.

    It is firing until `ended_at`. Secrets are replaced when it is made.
    """

    name: str
    severity: Severity
    summary: str
    description: str = ""
    labels: Mapping[str, str] = field(default_factory=dict)
    started_at: datetime = field(default_factory=utc_now)
    ended_at: datetime | None = None

    def __post_init__(self) -> None:
        object.__setattr__(self, "summary", redact(" ".join(self.summary.split())))
        object.__setattr__(self, "description", redact(self.description))
        plain = {name: redact(value) for name, value in self.labels.items()}
        object.__setattr__(self, "labels", plain)

    @property
    def key(self) -> str:
        """The identity as text."""
        name = [] if "cause" in self.labels else [self.name]
        return " ".join([*name, *(f"{name}={text}" for name, text in sorted(self.labels.items()))])

    @property
    def is_resolved(self) -> bool:
        """Whether it is over."""
        return self.ended_at is not None

    @property
    def title(self) -> str:
        """One line."""
        state = "resolved" if self.is_resolved else self.severity
        return f"{state}: {self.summary}"

    def to_json(self) -> dict[str, Any]:
        """For storing it."""
        ended = self.ended_at.isoformat() if self.ended_at else None
        return asdict(self) | {"started_at": self.started_at.isoformat(), "ended_at": ended}

    @classmethod
    def from_json(cls, fields: Mapping[str, Any]) -> Alert:
        """The reverse of `to_json`."""
        ended = fields["ended_at"]
        times = {
            "started_at": datetime.fromisoformat(fields["started_at"]),
            "ended_at": datetime.fromisoformat(ended) if ended else None,
        }
        return cls(**{**fields, **times})
