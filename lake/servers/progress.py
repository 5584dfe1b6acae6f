"""Shows progress on standard error: one moving line on a terminal, else lines.

Belongs here: two ways to show a progress report. Does not: its type (lake.base.progress).
"""

from __future__ import annotations

import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TextIO

from lake.base.progress import Progress, silent

__all__ = ["PlainLines", "Progress", "shown", "silent"]

_PLAIN_EVERY_S = 15.0


@contextmanager
def shown(stream: TextIO | None = None) -> Iterator[Progress]:
    """A Progress for people: one moving line on a terminal, else a line now and then."""
    stream = stream or sys.stderr
    if stream.isatty():
        from rich.console import Console  # noqa: PLC0415  slow to import, seldom needed

        with Console(file=stream).status("") as status:
            yield lambda name, text: status.update(f"{name}: {text}")
    else:
        yield PlainLines(stream)


class PlainLines:
    """Prints the first report of each server at once, further ones every 15 seconds."""

    def __init__(self, stream: TextIO, every_s: float = _PLAIN_EVERY_S) -> None:
        self._stream = stream
        self._every_s = every_s
        self._last: dict[str, float] = {}

    def __call__(self, name: str, text: str) -> None:
        """One report."""
        now = time.monotonic()
        if now - self._last.get(name, -self._every_s) >= self._every_s:
            self._last[name] = now
            print(f"{name}: {text}", file=self._stream, flush=True)
