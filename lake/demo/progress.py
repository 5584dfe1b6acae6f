"""Progress of the demo on standard error.

Belongs here: steps with their times, counts on the way. Does not: what is done.
"""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from rich.console import Console
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    TaskID,
    TextColumn,
    TimeElapsedColumn,
)

CountProgress = Callable[[str, int, int], None]
"""Called with what is counted, how many are done, and how many there are."""

_PLAIN_EVERY_S = 10.0


class Reporter:
    """Writes to standard error: bars on a terminal, lines elsewhere."""

    def __init__(self) -> None:
        self._console = Console(stderr=True, highlight=False)
        self._begun = time.monotonic()

    @property
    def seconds(self) -> float:
        """Since the demo began."""
        return time.monotonic() - self._begun

    def say(self, text: str) -> None:
        """One line."""
        self._console.print(text, markup=False)

    @contextmanager
    def step(self, title: str) -> Iterator[CountProgress]:
        """Prints when a step begins and how long it took; yields what shows its progress."""
        begun = time.monotonic()
        self.say(f"• {title} …")
        if sys.stderr.isatty():
            yield from self._with_bars()
        else:
            yield _PlainLines(self.say)
        self.say(f"  {time.monotonic() - begun:.1f} s")

    def _with_bars(self) -> Iterator[CountProgress]:
        columns = (
            TextColumn("  {task.description:<24}"),
            BarColumn(),
            MofNCompleteColumn(),
            TimeElapsedColumn(),
        )
        with Progress(*columns, console=self._console, transient=True) as progress:
            tasks: dict[str, TaskID] = {}

            def report(what: str, done: int, total: int) -> None:
                if what not in tasks:
                    tasks[what] = progress.add_task(what, total=total)
                progress.update(tasks[what], completed=done, total=total)

            yield report


class _PlainLines:
    """A line for the last of each count, and now and then one on the way."""

    def __init__(self, say: Callable[[str], None]) -> None:
        self._say = say
        self._last: dict[str, float] = {}

    def __call__(self, what: str, done: int, total: int) -> None:
        now = time.monotonic()
        if done >= total or now - self._last.setdefault(what, now) >= _PLAIN_EVERY_S:
            self._last[what] = now
            self._say(f"  {what}: {done:,} of {total:,}")
