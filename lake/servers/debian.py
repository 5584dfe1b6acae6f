"""Prometheus out of Debian's package, unpacked without installing it.

Belongs here: the download and the unpacking. Does not: other packages' formats.
"""

from __future__ import annotations

import os
from pathlib import Path

from lake.base.errors import PermanentError
from lake.servers.binaries import PROMETHEUS_PIN
from lake.servers.command import run
from lake.servers.progress import Progress

_REMEDY = (
    f"put Prometheus {PROMETHEUS_PIN} or newer on PATH; or, on Debian 12, run "
    "`apt-get update` as root and try again"
)


def prometheus(directory: Path, progress: Progress) -> None:
    """Fills the directory with the package's files: no service starts, no root is needed.

    Where root runs this without fresh package lists, they are fetched.
    Raises PermanentError.
    """
    download = ["apt-get", "-o", "APT::Sandbox::User=root", "download"]
    download.append(f"prometheus={PROMETHEUS_PIN}*")
    progress("prometheus", "downloading Debian's package")
    try:
        run(download, directory=directory, remedy=_REMEDY)
    except PermanentError:
        if os.geteuid() != 0:
            raise
        progress("prometheus", "fetching Debian's package lists")
        run(["apt-get", "update"], remedy=_REMEDY)
        run(download, directory=directory, remedy=_REMEDY)
    (package,) = directory.glob("prometheus_*.deb")
    progress("prometheus", "unpacking")
    run(["dpkg-deb", "-x", str(package), str(directory)], remedy=_REMEDY)
    package.unlink()
