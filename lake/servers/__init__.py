"""Real servers on this machine: finding, installing, starting and stopping them.

Prometheus, Loki, a server that speaks MongoDB's protocol, an S3 server: for the
demo, the tests, restore, replay and rehearsal.

Belongs here: their programs, configuration and processes.
Does not: reading data from them (lake.systems), writing data into them.
"""

from __future__ import annotations

from lake.servers.binaries import (
    EXTRA_PROGRAMS,
    PROGRAM_NAMES,
    SERVER_NAMES,
    Binary,
    find,
    find_all,
    has_version,
)
from lake.servers.closest import closest, other_version
from lake.servers.installing import install
from lake.servers.recipe import Options
from lake.servers.server import Server
from lake.servers.stack import Stack, start

__all__ = [
    "EXTRA_PROGRAMS",
    "PROGRAM_NAMES",
    "SERVER_NAMES",
    "Binary",
    "Options",
    "Server",
    "Stack",
    "closest",
    "find",
    "find_all",
    "has_version",
    "install",
    "other_version",
    "start",
]
