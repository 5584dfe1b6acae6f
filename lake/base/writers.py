"""Which process writes, so that another one can tell whether it still runs.

Belongs here: a process's name across machines, and looking it up. Does not: what is written.
"""

from __future__ import annotations

import os

from lake.base.running import here, started


def this_writer() -> str:
    """This process: its place, process id and when it began. "" where that can't be known."""
    begun = started(os.getpid())
    return f"{here()} {os.getpid()} {begun}" if begun else ""


def is_alive(writer: str) -> bool | None:
    """Whether it still runs; None where that can't be known: another machine or container."""
    place, _, begun = writer.rpartition(" ")
    place, _, process = place.rpartition(" ")
    if place != here() or not process.isdigit():
        return None
    return started(int(process)) == begun
