from __future__ import annotations

from support.recovered import own, restores, temporary

__all__ = ["own", "restores", "temporary"]  # for pytest
