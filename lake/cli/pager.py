"""Long answers on a terminal, a screen at a time.

Belongs here: whether and how a pager is started. Does not: what is shown (tables).
"""

from __future__ import annotations

import os
import shlex
import shutil
import subprocess
import sys
from collections.abc import Iterable
from contextlib import suppress
from itertools import chain, islice

_LESS = (
    "FRSX"  # ends on one screen, shows colours, cuts long lines (arrow keys move), leaves the text
)


def show(lines: Iterable[str], height: int) -> None:
    """Writes the lines to the terminal, through a pager where they are more than `height`.

    The pager is that of PAGER, else less; where it can't be started, and where standard input is
    no terminal, there is none. Lines end with LF.
    """
    lines = iter(lines)
    first = list(islice(lines, height))
    following = next(lines, None)
    command = _pager() if following is not None else []
    rest = chain(first, [] if following is None else [following], lines)
    if not command:
        sys.stdout.writelines(rest)
        sys.stdout.flush()
        return
    environment = {"LESS": _LESS, **os.environ}
    with subprocess.Popen(
        command, stdin=subprocess.PIPE, text=True, encoding="utf-8", env=environment
    ) as pager:
        assert pager.stdin is not None  # noqa: S101  it is a pipe
        with suppress(BrokenPipeError):  # it was left before the end
            pager.stdin.writelines(rest)
        with suppress(BrokenPipeError):
            pager.stdin.close()
        while True:
            with suppress(KeyboardInterrupt):  # the pager's own: it stops a search
                pager.wait()
                return


def _pager() -> list[str]:
    """The command; empty where there is none, or nobody could use it."""
    if not sys.stdin.isatty() or os.environ.get("TERM", "dumb") == "dumb":
        return []
    try:
        words = shlex.split(os.environ.get("PAGER", "less"))
    except ValueError:  # a quotation that does not end
        return []
    return words if words and shutil.which(words[0]) else []
