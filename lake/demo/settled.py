"""Waits until a server returns the data that were written to it.

Belongs here: comparing counts for a while. Does not: how a server counts.
"""

from __future__ import annotations

import time
from collections.abc import Callable

from lake.base.errors import Incomplete

_WITHIN_S = 120.0  # Loki 2.2 reads the index of past days once a minute
_LOOK_S = 0.25


def wait_until(expected: int, count: Callable[[], int], *, where: str) -> None:
    """Returns once the count is as expected. Raises Incomplete if it never becomes so."""
    deadline = time.monotonic() + _WITHIN_S
    while (counted := count()) != expected:
        if time.monotonic() > deadline:
            raise Incomplete(
                "the server does not hold what the demo wrote",
                where=where,
                expected=expected,
                found=counted,
                remedy="was there data of another window before? begin with an empty directory",
            )
        time.sleep(_LOOK_S)
