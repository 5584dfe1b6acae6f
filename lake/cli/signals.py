"""SIGINT and SIGTERM as an orderly end, for commands that serve until they are told to stop.

Belongs here: what the signals mean. Does not: what has to be stopped; `with` sees to that.
"""

from __future__ import annotations

import signal
from types import FrameType
from typing import NoReturn


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
