"""The installed program whose version is closest to the server that data came from.

Belongs here: the choice among several, what a program of another version can't do, the remedy.
Does not: finding programs (binaries), installing them (installing).
"""

from __future__ import annotations

from lake.servers.binaries import Binary, find_all, pinned_version, version_parts
from lake.servers.installing import how_installed

_UNKNOWN = "unknown"  # of a server that reports no version
_NAMES = {"prometheus": "Prometheus", "loki": "Loki"}
# What `lake services install` can install, by the system.
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
    """The program of that minor version, else of its major version, else the nearest one.

    None where none is installed. Where the version has no number, the preferred program.
    Raises UsageError for an unknown name.
    """
    binaries, wanted = find_all(name), version_parts(version)
    if not wanted:
        return next(iter(binaries), None)
    return max(
        binaries,
        key=lambda binary: _nearness(name, version_parts(binary.version), wanted),
        default=None,
    )


def _nearness(name: str, here: tuple[int, ...], wanted: tuple[int, ...]) -> tuple[object, ...]:
    newer = here[:2] >= wanted[:2]
    # A Loki reads the files of older ones; one of another major may not read those of newer ones.
    reads = newer or name != "loki" or here[0] == wanted[0] >= 3
    distance = tuple(-part for part in here) if newer else here
    return here == wanted, here[:2] == wanted[:2], reads, here[0] == wanted[0], newer, distance


def other_version(name: str, version: str, program: Binary) -> str:
    """The remark for data that came from another version; '' where nothing is different.

    A newer minor version of the same major serves an older one's data whole, and a build's
    suffix (`3.7.9-main`) does not count. A version without a number (`main-a1b2`, `unknown`)
    can't be compared with any; '' stands for data without a version, and gets no remark.
    """
    here, wanted = version_parts(program.version), version_parts(version)
    if not version or (wanted and here[0] == wanted[0] and here[:2] >= wanted[:2]):
        return ""
    title = _NAMES[name]
    came = "of unknown version" if version == _UNKNOWN else version.removeprefix("v")
    serves = f"the data came from {title} {came}, and {title} {program.version} serves them"
    if not wanted:
        return (
            f"{serves}: without a version number the two can't be compared, and the server may "
            f"lack what the data need. If queries fail, put the `{name}` that wrote the data on "
            "PATH"
        )
    missing = (_NEWER if here > wanted else _OLDER)[name]
    return f"{serves}: {missing}. {_remedy(name, wanted, here)}"


def installing_remedy(name: str, version: str, program: Binary | None) -> str:
    """How to get a program of the version that data came from; `program` is the closest here."""
    wanted = version_parts(version)
    if not wanted:
        return f"put the `{name}` that wrote the data on PATH"
    here = version_parts(program.version) if program else (0,)
    return _remedy(name, wanted, here)


def _remedy(name: str, wanted: tuple[int, ...], here: tuple[int, ...]) -> str:
    for program in _INSTALLED[name]:
        pinned = version_parts(pinned_version(program))
        nearer = pinned[0] == wanted[0] != here[0]
        if nearer and (pinned >= wanted or name == "prometheus"):
            return f"`lake services install {program}` installs {how_installed(program)}"
    return f"Put the `{name}` of that version on PATH to have the same"
