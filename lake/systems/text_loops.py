"""What the compiled scans of JSON answers share.

Belongs here: inlined pieces of loops over bytes. Does not: any answer's shape.
"""

from __future__ import annotations

from typing import Any

from numba import njit


@njit(inline="always")
def stands(text: Any, at: Any, pattern: Any) -> Any:
    """Whether the pattern's bytes are at that place of the text."""
    if at + len(pattern) > len(text):
        return False
    for i in range(len(pattern)):  # noqa: SIM110  numba knows no all()
        if text[at + i] != pattern[i]:
            return False
    return True
