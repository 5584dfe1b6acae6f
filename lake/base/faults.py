"""Points at which tests can interrupt writing.

Belongs here: the points and the signal that one of them sends. Does not: what is written.

A point is a step of a store's and the key that it is about: `begin` (nothing is there yet),
`part` (a part of it is), `complete` (all of it, still unseen), `done` (it is seen), `delete` and
`deleted`. `LAKE_FAULT` is the signal that this process gets, and the point: `SIGKILL 7` at the
seventh that it comes to, `SIGSTOP complete tables/*` at the first of that step and pattern of
keys. Without it a point does nothing.
"""

from __future__ import annotations

import fnmatch
import os
import signal
from functools import cache
from itertools import count
from typing import Literal

from lake.base.errors import ConfigError

Step = Literal["begin", "part", "complete", "done", "delete", "deleted"]
_STEPS = ("begin", "part", "complete", "done", "delete", "deleted")


def point(step: Step, key: str) -> None:
    """Sends this process the signal, if it is to get one here. Raises ConfigError."""
    if fault := _fault():
        fault.reach(step, key)


class _Fault:
    def __init__(self, text: str) -> None:
        try:
            name, which, *keys = text.split()
            self._signal = signal.Signals[name]
            self._number = int(which) if which.isdigit() else 0
            if not self._number and (which not in _STEPS or len(keys) != 1):
                raise ValueError(which)
        except (KeyError, ValueError) as error:
            raise ConfigError(
                "LAKE_FAULT names no point",
                expected=f"SIGNAL NUMBER, or SIGNAL STEP PATTERN with a step of {_STEPS}",
                found=text,
            ) from error
        self._step, self._pattern = which, "".join(keys)
        self._points = count(1)
        self._sent = False

    def reach(self, step: str, key: str) -> None:
        at = next(self._points)
        here = step == self._step and fnmatch.fnmatchcase(key, self._pattern)
        if not self._sent and (at == self._number or here):
            self._sent = True
            # To this thread: it stops before another one goes on with what it held.
            signal.raise_signal(self._signal)


@cache
def _fault() -> _Fault | None:
    text = os.environ.get("LAKE_FAULT")
    return _Fault(text) if text else None
