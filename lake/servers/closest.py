"""The program on this machine that is closest to a server's version.

Belongs here: the choice among several. Does not: finding them (binaries).
"""

from __future__ import annotations

import re

from lake.servers.binaries import Binary, find_all


def closest(name: str, version: str) -> Binary | None:
    """Of that version, else of its minor, else of its major, else the newest; None without any.

    Raises UsageError for an unknown name.
    """
    wanted = _numbers(version)
    found = find_all(name)
    for length in (3, 2, 1):
        same = [one for one in found if _numbers(one.version)[:length] == wanted[:length]]
        if same and len(wanted) >= length:
            return max(same, key=lambda one: _numbers(one.version))
    return max(found, key=lambda one: _numbers(one.version), default=None)


def other_version(name: str, version: str, program: Binary) -> str:
    """What to report where the program is of another version; '' where it is the same.

    A build's suffix (`3.7.9-main`) does not count.
    """
    if _numbers(version) == _numbers(program.version):
        return ""
    return (
        f"the data are of {name} {version.removeprefix('v')}, the server that holds them now is "
        f"{program.version}: put that version's `{program.path.name}` on PATH to have the same"
    )


def _numbers(version: str) -> tuple[int, ...]:
    found = re.match(r"v?(\d+(?:\.\d+)*)", version)
    return tuple(int(part) for part in found[1].split(".")) if found else ()
