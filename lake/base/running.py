"""Which process is meant, and whether it still runs.

Belongs here: the mark of a process and of the machine it runs on. Does not: ending any.
"""

from __future__ import annotations

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
