"""Waiting for servers and other processes.

Belongs here: waits for any condition and for the state of a process. Does not: what one
kind of server shows, which its client waits for.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path


def wait_until(
    done: Callable[[], object], what: str = "", *, within_s: float = 60, every_s: float = 0.2
) -> None:
    """`what` is reported where it does not come true in time."""
    deadline = time.monotonic() + within_s
    while not done():
        assert time.monotonic() < deadline, what
        time.sleep(every_s)


def wait_until_stopped(pid: int) -> None:
    """Stopped by a signal, as SIGSTOP does."""
    state = Path(f"/proc/{pid}/stat")
    wait_until(
        lambda: state.read_text().rpartition(")")[2].split()[0] == "T", within_s=30, every_s=0.01
    )
