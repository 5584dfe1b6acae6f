"""Free TCP ports on the loopback.

Belongs here: choosing ports and asking whether one is free.
Does not: who listens on them.
"""

from __future__ import annotations

import random
import socket
from collections.abc import Collection
from pathlib import Path

from lake.base.errors import Missing

LOOPBACK = "127.0.0.1"
_LOWEST = 15_000
_EPHEMERAL = Path("/proc/sys/net/ipv4/ip_local_port_range")
_TRIES = 1000


def is_free(port: int) -> bool:
    """Whether a server could listen there now."""
    with socket.socket(socket.AF_INET, socket.SOCK_STREAM) as probe:
        # As servers do: connections of the last one that linger don't count.
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((LOOPBACK, port))
        except OSError:
            return False
        return True


def free_ports(roles: Collection[str]) -> dict[str, int]:
    """A free port for each role.

    From below the range out of which the kernel serves outgoing connections: one
    of those could take the port while its server restarts. Raises Missing.
    """
    highest = _first_ephemeral()
    chosen: dict[str, int] = {}
    waiting = list(roles)
    for _ in range(_TRIES):
        if not waiting:
            return chosen
        port = random.randrange(_LOWEST, highest)  # noqa: S311  no secret
        if port not in chosen.values() and is_free(port):
            chosen[waiting.pop(0)] = port
    raise Missing(
        "no free TCP port on the loopback",
        where=f"{LOOPBACK}:{_LOWEST}–{highest - 1}",
        expected=f"{len(roles)} free ports",
        remedy="stop programs that listen there",
    )


def _first_ephemeral() -> int:
    first = int(_EPHEMERAL.read_text().split()[0]) if _EPHEMERAL.exists() else 32_768
    return first if first > _LOWEST + _TRIES else 65_536
