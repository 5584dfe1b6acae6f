"""Orderly shutdown on SIGINT and SIGTERM.

Belongs here: what the signals mean. Does not: what has to be stopped; `with` sees to that.
"""

from __future__ import annotations

import os
import signal
from collections.abc import Iterator
from contextlib import contextmanager
from threading import Timer
from types import FrameType
from typing import NoReturn

import click

_INTERRUPTED = 130  # what a shell expects
_GRACE_S = 3.0


@contextmanager
def prompt_interrupts(grace_s: float = _GRACE_S) -> Iterator[None]:
    """SIGINT and SIGTERM raise KeyboardInterrupt; the block has so long to end after that.

    A thread that waits for a server would else keep the process for as long as its time-out.
    For commands that only read: what has to be undone sets signals of its own.
    """
    timers: list[Timer] = []

    def interrupt(_number: int, _frame: FrameType | None) -> NoReturn:
        for number in (signal.SIGINT, signal.SIGTERM):
            signal.signal(number, lambda *_: os._exit(_INTERRUPTED))
        timers.append(Timer(grace_s, _leave))
        timers[-1].daemon = True
        timers[-1].start()
        raise KeyboardInterrupt

    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, interrupt)
    try:
        yield
    finally:
        for timer in timers:
            timer.cancel()


def _leave() -> None:
    click.echo("interrupted", err=True)
    os._exit(_INTERRUPTED)


def end_on_signals(status: int = 0) -> None:
    """From now on the first SIGINT or SIGTERM raises SystemExit(status) in the main thread.

    Further ones are ignored, so that what is being stopped gets stopped.
    """

    def end(_number: int, _frame: FrameType | None) -> NoReturn:
        for number in (signal.SIGINT, signal.SIGTERM):
            signal.signal(number, signal.SIG_IGN)
        raise SystemExit(status)

    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, end)


def stop_on_signals(message: str) -> None:
    """For work that takes a while to stop: the first SIGINT or SIGTERM raises KeyboardInterrupt.

    Prints `message` to standard error. The second one ends the process at once.
    """

    def stop(_number: int, _frame: FrameType | None) -> NoReturn:
        for number in (signal.SIGINT, signal.SIGTERM):
            signal.signal(number, lambda *_: os._exit(_INTERRUPTED))
        click.echo(message, err=True)
        raise KeyboardInterrupt

    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, stop)
