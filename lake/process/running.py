"""Identifies a process, even after a reboot or reuse of its id, and checks whether it runs.

Belongs here: the name of a process across machines, and looking it up. Does not: ending any.
"""

from __future__ import annotations

import os
import socket
from functools import cache
from pathlib import Path


def started(pid: int) -> str:
    """When a process began, in the kernel's ticks: a pid alone may be another's by now.

    '' where there is no such process.
    """
    try:
        text = Path(f"/proc/{pid}/stat").read_text("ascii", errors="replace")
    except (FileNotFoundError, ProcessLookupError):
        return ""
    fields = text.rpartition(")")[2].split()
    return "" if fields[0] == "Z" else fields[19]


@cache
def here() -> str:
    """The place where pids are comparable: the host since it booted, and its pid namespace."""
    boot = Path("/proc/sys/kernel/random/boot_id")
    since = boot.read_text("ascii").strip() if boot.exists() else ""
    namespace = Path("/proc/self/ns/pid")
    return f"{socket.gethostname()} {since} {namespace.readlink() if namespace.exists() else ''}"


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
