"""Servers from Debian's packages, unpacked without installing them.

Belongs here: the download and the unpacking. Does not: other packages' formats.
"""

from __future__ import annotations

import os
from pathlib import Path

from lake.base.errors import PermanentError
from lake.servers.binaries import DEBIAN_PACKAGES
from lake.servers.command import run
from lake.servers.progress import Progress

# A directory that is compiled into a program, and the same number of bytes as a path relative to
# the working directory: an unpacked package is not at /.
_COMPILED_IN = {
    "alertmanager": (
        "usr/bin/prometheus-alertmanager",
        b"/usr/share/prometheus/alertmanager",
        b"usr//share/prometheus/alertmanager",
    )
}


def unpack(server: str, directory: Path, progress: Progress) -> None:
    """Fills the directory with the package's files: no service starts, no root is needed.

    Where root runs this without fresh package lists, they are fetched.
    Raises PermanentError.
    """
    package, pin = DEBIAN_PACKAGES[server]
    remedy = (
        f"put {server} {pin} or newer on PATH; or, on Debian 12, run `apt-get update` as root and "
        "try again"
    )
    download = ["apt-get", "-o", "APT::Sandbox::User=root", "download", f"{package}={pin}*"]
    progress(server, "downloading Debian's package")
    try:
        run(download, directory=directory, remedy=remedy)
    except PermanentError:
        if os.geteuid() != 0:
            raise
        progress(server, "fetching Debian's package lists")
        run(["apt-get", "update"], remedy=remedy)
        run(download, directory=directory, remedy=remedy)
    (file,) = directory.glob(f"{package}_*.deb")
    progress(server, "unpacking")
    run(["dpkg-deb", "-x", str(file), str(directory)], remedy=remedy)
    file.unlink()
    if server in _COMPILED_IN:
        program, absolute, relative = _COMPILED_IN[server]
        _relocate(directory / program, absolute, relative, remedy)


def _relocate(program: Path, absolute: bytes, relative: bytes, remedy: str) -> None:
    data = program.read_bytes()
    if absolute not in data:
        raise PermanentError(
            "the package differs from the pinned one",
            where=program,
            expected=f"{absolute.decode()} compiled in",
            remedy=remedy,
        )
    program.write_bytes(data.replace(absolute, relative))
