"""Looks at processes and sockets from outside, through /proc."""

from __future__ import annotations

import ipaddress
import struct
import time
from collections.abc import Callable
from pathlib import Path

LISTEN = "0A"


def exists(pid: int) -> bool:
    """Whether the process runs; a zombie does not."""
    try:
        state = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
    except (FileNotFoundError, ProcessLookupError):
        return False
    return state not in ("Z", "X")


def listening(pid: int) -> dict[int, str]:
    """Port → address of every TCP socket that the process listens on."""
    inodes = set()
    for descriptor in Path(f"/proc/{pid}/fd").iterdir():
        try:
            target = str(descriptor.readlink())
        except FileNotFoundError:
            continue
        if target.startswith("socket:["):
            inodes.add(target[len("socket:[") : -1])
    return {
        port: address
        for inode, state, address, port in _sockets()
        if inode in inodes and state == LISTEN
    }


def listener(port: int) -> int:
    """The process that listens on this port."""
    for folder in Path("/proc").glob("[0-9]*"):
        try:
            if port in listening(int(folder.name)):
                return int(folder.name)
        except (FileNotFoundError, PermissionError, ProcessLookupError):
            continue  # it ended while we looked, or is somebody else's
    raise LookupError(f"no process listens on {port}")


def ports_listened_on() -> set[int]:
    """Every TCP port of this machine that somebody listens on."""
    return {port for _, state, _, port in _sockets() if state == LISTEN}


def _sockets() -> list[tuple[str, str, str, int]]:
    rows = []
    for table in ("/proc/net/tcp", "/proc/net/tcp6"):
        for line in Path(table).read_text().splitlines()[1:]:
            fields = line.split()
            packed, port = fields[1].split(":")
            words = [packed[i : i + 8] for i in range(0, len(packed), 8)]
            raw = b"".join(struct.pack("<I", int(word, 16)) for word in words)
            rows.append((fields[9], fields[3], str(ipaddress.ip_address(raw)), int(port, 16)))
    return rows


def within(seconds: float, question: Callable[[], bool]) -> bool:
    """Whether the answer becomes yes in time."""
    deadline = time.monotonic() + seconds
    while not question():
        if time.monotonic() > deadline:
            return False
        time.sleep(0.05)
    return True
