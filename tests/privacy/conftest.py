"""Rules of columns on the suite's real servers: no trace of a text may be left."""

from __future__ import annotations

from support.no_trace import kept

__all__ = ["kept"]
