"""Which process writes, so that another one can tell whether it still runs.

Belongs here: a process's name across the machine, and looking it up. Does not: what is written.
"""

from __future__ import annotations

import os
from functools import cache
from pathlib import Path

_BOOT = Path("/proc/sys/kernel/random/boot_id")


def this_writer() -> str:
    """This process: machine's boot, container, process id, when it began. "" where unknown."""
    place, begun = _place(), _begun(os.getpid())
    return f"{place} {os.getpid()} {begun}" if place and begun else ""


def is_alive(writer: str) -> bool | None:
    """Whether it still runs; None where that can't be known: another machine or container."""
    place, _, process = writer.rpartition(" ")[0].rpartition(" ")
    if not place or place != _place() or not process.isdigit():
        return None
    return _begun(int(process)) == writer.rpartition(" ")[2]


@cache
def _place() -> str:
    try:
        return f"{_BOOT.read_text('ascii').strip()} {Path('/proc/self/ns/pid').readlink()}"
    except OSError:  # not Linux
        return ""


def _begun(process: int) -> str:
    """Clock ticks after the boot; process ids are used again. "" where it has ended."""
    try:
        text = Path(f"/proc/{process}/stat").read_text("utf-8", "replace")
    except OSError:
        return ""
    state, *fields = text.rpartition(")")[2].split()
    return "" if state in "ZX" else fields[18]
