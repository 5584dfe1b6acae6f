"""The memory and processors that this process may use.

Belongs here: the limits of the machine and of cgroups. Does not: their use.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from functools import cache
from pathlib import Path

_CGROUP = Path("/proc/self/cgroup")
_MOUNTED = Path("/sys/fs/cgroup")


def processors() -> int:
    """Those on which this process may run."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


@cache
def memory_bytes() -> int:
    """The machine's, or what the cgroups leave of it: this process's own and those above it."""
    machine = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    return min([machine, *_limits()])


def _limits() -> Iterator[int]:
    """Those that can be seen: in a container the path may be that of the host."""
    try:
        lines = _CGROUP.read_text("utf-8", errors="replace").splitlines()
    except OSError:
        return  # no Linux
    for line in lines:
        _, controllers, path = line.split(":", 2)
        if not controllers:
            mounted, name = _MOUNTED, "memory.max"
        elif "memory" in controllers.split(","):
            mounted, name = _MOUNTED / "memory", "memory.limit_in_bytes"
        else:
            continue
        own = mounted / path.lstrip("/")
        for folder in (own, *own.parents):
            if folder.is_relative_to(mounted) and (limit := _number(folder / name)):
                yield limit


def _number(file: Path) -> int:
    """0 for a file that is not there, and for "max"."""
    try:
        text = file.read_text("ascii").strip()
    except (OSError, ValueError):
        return 0
    return int(text) if text.isdigit() else 0
