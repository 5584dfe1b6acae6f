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
    """`name` and `labels` are its identity: one cause, whatever its text. With a label `cause` that
    alone is: a cause by which first an export fails and then a snapshot stays the same.

    `day` is the first UTC day that it is about, "" where there is none. `stage` is how near rows
    are to being lost: 1 and 2, the source deletes one within `warn_hours` and `critical_hours`; 3,
    it has deleted some; else 0. It is firing until `ended_at`. Secrets are replaced when it is
    made.
    """

    name: str
    severity: Severity
    summary: str
    description: str = ""
    labels: Mapping[str, str] = field(default_factory=dict)
    started_at: datetime = field(default_factory=utc_now)
    ended_at: datetime | None = None
    day: str = ""
    stage: int = 0

    def __post_init__(self) -> None:
        object.__setattr__(self, "summary", redact(" ".join(self.summary.split())))
        object.__setattr__(self, "description", redact(self.description))
        plain = {name: redact(value) for name, value in self.labels.items()}
        object.__setattr__(self, "labels", plain)

    @property
    def key(self) -> str:
        """The identity as text."""
        if cause := self.labels.get("cause"):
            return f"cause={cause}"
        return " ".join([self.name, *(f"{k}={text}" for k, text in sorted(self.labels.items()))])

    @property
    def is_resolved(self) -> bool:
        """Whether it is over."""
        return self.ended_at is not None

    @property
    def urgency(self) -> tuple[int, int]:
        """The greater it is, the sooner a person has to act: by stage, then by severity."""
        return (self.stage, SEVERITIES.index(self.severity))

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
        """The reverse of `to_json`. What another version stored besides is ignored."""
        ended = fields["ended_at"]
        known = {name: fields[name] for name in cls.__dataclass_fields__ if name in fields}
        times = {
            "started_at": datetime.fromisoformat(fields["started_at"]),
            "ended_at": datetime.fromisoformat(ended) if ended else None,
        }
        return cls(**{**known, **times})
