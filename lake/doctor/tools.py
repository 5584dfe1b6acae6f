"""Which external programs are installed. Exports and queries need none of them.

Belongs here: programs. Does not: installing them (`lake services install`).
"""

from __future__ import annotations

import shutil
from collections.abc import Iterator

from lake.config.settings import Settings
from lake.servers import SERVER_NAMES, find
from lake.systems.check import Check

_MONGO_TOOLS = ("mongodump", "mongorestore")


def check(settings: Settings) -> Iterator[Check]:
    """One check per program."""
    wanted = settings.snapshots.mongo.tool == "mongodump"
    for tool in _MONGO_TOOLS:
        path = shutil.which(tool)
        if path:
            yield Check("programs", "ok", f"{tool}: {path}")
        elif wanted:
            remedy = 'install the MongoDB database tools, or set [snapshots.mongo] tool = "native"'
            yield Check("programs", "fail", f"{tool} is not on PATH", remedy)
    for name in SERVER_NAMES:
        if getattr(settings.sources, name, None) is None:
            continue
        binary = find(name)
        if binary:
            yield Check("programs", "ok", f"{name}: {binary.path}, {binary.version}")
        else:
            remedy = (
                "put the server's own program on PATH, or: lake services install "
                f"{name}; restore --serve, replay and rehearse run it"
            )
            yield Check("programs", "warn", f"{name}: no usable version found", remedy)
