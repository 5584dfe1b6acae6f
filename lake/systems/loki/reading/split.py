"""The times at which Loki's frontend splits queries, and where log queries may lack lines.

Belongs here: the server's split interval, and the assumption where it is not reported.
Does not: finding lines there (missing).
"""

from __future__ import annotations

import math
from dataclasses import dataclass

from lake.systems.loki.reading.config import LokiConfig, milliseconds

_MINUTE_NS = 60 * 10**9
_SECOND_NS = 10**9
_UNKNOWN = "unknown"


@dataclass(frozen=True)
class Split:
    """Queries are split at multiples of `interval_ns` since the epoch; 0: not at all."""

    interval_ns: int
    summary: str

    @classmethod
    def of(cls, config: LokiConfig) -> Split:
        """From the server's own configuration; the finest grid that holds all its intervals.

        Where it is not shown, every whole minute may be a cut.
        """
        periods = [milliseconds(text) for text in config.split_intervals()]
        intervals = [ms * 10**6 for ms in periods if ms is not None]
        if None in periods:
            intervals = []
        interval = math.gcd(*intervals) if intervals else _MINUTE_NS  # gcd(x, 0) is x
        if interval % _SECOND_NS:  # no one has parts that short
            interval = _SECOND_NS
        return cls(interval, f"{interval // _SECOND_NS}s" if intervals else _UNKNOWN)

    @property
    def known(self) -> bool:
        """Whether the server has reported it."""
        return self.summary != _UNKNOWN

    def times(self, start_ns: int, end_ns: int) -> range:
        """The cuts in [start, end)."""
        if not self.interval_ns:
            return range(0)
        first = -(-start_ns // self.interval_ns) * self.interval_ns
        return range(first, end_ns, self.interval_ns)
