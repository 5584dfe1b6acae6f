"""Temporary files of tests lie in memory where there is room (ADR 0019).

Belongs here: whether there is room. Does not: what tests write; the user's own choice, TMPDIR.
"""

from __future__ import annotations

import os
import re
import tempfile
from pathlib import Path

_MEMORY = Path("/dev/shm")
_NEEDED = 6 * 2**30  # bytes; a run of the whole suite has up to 1.6 GiB at a time


def use_memory() -> None:
    """For this process and those that it starts; not in containers, whose /dev/shm is small."""
    if "TMPDIR" not in os.environ and _has_room():
        os.environ["TMPDIR"] = str(_MEMORY)
        tempfile.tempdir = None  # is looked for anew


def _has_room() -> bool:
    if not os.access(_MEMORY, os.W_OK):
        return False
    there = os.statvfs(_MEMORY)
    (available,) = re.findall(r"MemAvailable: +(\d+) kB", Path("/proc/meminfo").read_text())
    return (
        not there.f_flag & os.ST_NOEXEC  # tests write programs
        and there.f_bavail * there.f_frsize > _NEEDED
        and int(available) * 1024 > 2 * _NEEDED
    )
