"""The current time, read in one place.

Belongs here: now, and another clock for simulations. Does not: days (day), clocks of servers, times
of files, durations.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime

Clock = Callable[[], datetime]


def _of_this_machine() -> datetime:
    return datetime.now(UTC)


_clock: Clock = _of_this_machine


def utc_now() -> datetime:
    """The current time, in UTC."""
    return _clock()


@contextmanager
def simulated(clock: Clock) -> Iterator[None]:
    """Within the block `utc_now` returns what `clock` returns, in every thread of this process."""
    global _clock  # noqa: PLW0603  a process has one clock
    before, _clock = _clock, clock
    try:
        yield
    finally:
        _clock = before
