"""The program on this machine that is closest to the server that data came from.

Belongs here: the choice among several, what a program of another version can't do, the remedy.
Does not: finding programs (binaries), installing them (installing).
"""

from __future__ import annotations

from lake.servers.binaries import Binary, find_all, pinned_version, version_parts
from lake.servers.installing import how_installed

_NAMES = {"prometheus": "Prometheus", "loki": "Loki"}
# What `lake services install` gets, by the major version.
_INSTALLED = {"prometheus": ("prometheus", "prometheus3"), "loki": ("loki2",)}
_OLDER = {
    "prometheus": "it can't parse queries with quoted names or with functions that came later, "
    "nor read native histograms with custom buckets",
    "loki": "it can't parse LogQL that came later",
}
_NEWER = {
    "prometheus": "from 3.0 on a range selector leaves out its first instant",
    "loki": "its answers can have labels and limits that came later",
}


def closest(name: str, version: str) -> Binary | None:
    """Of that minor version, else of its major, else the nearest; None without any.

    Where the version has no number, the preferred program. Raises UsageError for an unknown
    name.
    """
    found, wanted = find_all(name), version_parts(version)
    if not wanted:
        return next(iter(found), None)
    return max(
        found, key=lambda one: _nearness(name, version_parts(one.version), wanted), default=None
    )


def _nearness(name: str, here: tuple[int, ...], wanted: tuple[int, ...]) -> tuple[object, ...]:
    newer = here[:2] >= wanted[:2]
    # A Loki reads what older ones wrote; one of another major need not know what newer ones do.
    reads = newer or name != "loki" or here[0] == wanted[0] >= 3
    distance = tuple(-part for part in here) if newer else here
    return here == wanted, here[:2] == wanted[:2], reads, here[0] == wanted[0], newer, distance


def other_version(name: str, version: str, program: Binary) -> str:
    """What to report where the data came from another version; '' where nothing is different.

    A newer minor version of the same major serves an older one's data whole, and a build's
    suffix (`3.7.9-main`) does not count.
    """
    here, wanted = version_parts(program.version), version_parts(version)
    if not wanted or (here[0] == wanted[0] and here[:2] >= wanted[:2]):
        return ""
    title, missing = _NAMES[name], (_NEWER if here > wanted else _OLDER)[name]
    return (
        f"the data came from {title} {version.removeprefix('v')}, and {title} {program.version} "
        f"serves them: {missing}. {_remedy(name, wanted, here)}"
    )


def _remedy(name: str, wanted: tuple[int, ...], here: tuple[int, ...]) -> str:
    for one in _INSTALLED[name]:
        pinned = version_parts(pinned_version(one))
        nearer = pinned[0] == wanted[0] != here[0]
        if nearer and (pinned >= wanted or name == "prometheus"):
            return f"`lake services install {one}` gets {how_installed(one)}"
    return f"Put the `{name}` of that version on PATH to have the same"
