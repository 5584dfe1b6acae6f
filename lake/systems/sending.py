"""Sends requests in order while the next ones are prepared.

Belongs here: one request at a time beside the caller, few that wait. Does not: their content.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor

_WAITING = 3


class Sending:
    """A thread that sends; what it raises is raised by the next call."""

    def __init__(self) -> None:
        self._pool = ThreadPoolExecutor(1, "replay")
        self._waiting: deque[Future[object]] = deque()

    def send(self, request: Callable[[], object]) -> None:
        """After all earlier ones; waits where too many wait already."""
        self._waiting.append(self._pool.submit(request))
        while len(self._waiting) > _WAITING:
            self._waiting.popleft().result()

    def finish(self) -> None:
        """Returns when all have been answered."""
        while self._waiting:
            self._waiting.popleft().result()

    def close(self) -> None:
        """Gives up requests that wait."""
        self._pool.shutdown(cancel_futures=True)
