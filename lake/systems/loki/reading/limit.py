"""How many lines a Loki returns in one response.

Belongs here: the highest number, as far as it is known. Does not: how many to request (paging).
"""

from __future__ import annotations

from dataclasses import dataclass, field
from threading import Lock

FIRST_LIMIT = 5000  # Loki's default max_entries_limit_per_query


@dataclass
class Limit:
    """The highest known number of lines in one answer of this server."""

    cap: int | None = None
    _lock: Lock = field(default_factory=Lock, repr=False)

    def within(self, wanted: int) -> int:
        """The wanted number or the cap, if that is less."""
        return wanted if self.cap is None else min(wanted, self.cap)

    def learn(self, cap: int) -> None:
        """The server has reported its cap."""
        with self._lock:
            self.cap = cap

    @property
    def usual(self) -> int:
        """The limit of ordinary requests."""
        return self.within(FIRST_LIMIT)
