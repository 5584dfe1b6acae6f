"""restic, the peer of the restore's benchmark: found on PATH, else Debian's, unpacked once.

Belongs here: the program and its repository. Does not: what is timed.
"""

from __future__ import annotations

import os
import shutil
import subprocess
from dataclasses import dataclass
from pathlib import Path

from lake.base.cache import cache_dir
from lake.base.errors import LakeError
from lake.servers.cache import install_once
from lake.servers.command import run
from lake.servers.progress import silent

_REMEDY = "put restic on PATH; or, on Debian, run `apt-get update` as root and try again"


def _unpack(directory: Path) -> None:
    download = ["apt-get", "-o", "APT::Sandbox::User=root", "download", "restic"]
    run(download, directory=directory, remedy=_REMEDY)
    (package,) = directory.glob("restic_*.deb")
    run(["dpkg-deb", "-x", str(package), str(directory)], remedy=_REMEDY)
    package.unlink()


def restic_program() -> str:
    if program := shutil.which("restic"):
        return program
    directory = cache_dir() / "restic-debian"
    try:
        install_once("restic", directory, _unpack, silent)
    except LakeError as error:
        raise SystemExit(f"no restic here\n{error}") from None
    return str(directory / "usr/bin/restic")


@dataclass(frozen=True)
class Repository:
    """A repository in a directory; no cache elsewhere."""

    program: str
    folder: Path

    def __call__(self, *arguments: str) -> None:
        own = {"RESTIC_PASSWORD": "bench", "RESTIC_REPOSITORY": str(self.folder)}
        subprocess.run(
            [self.program, "--no-cache", "--quiet", *arguments],
            env={**os.environ, **own},
            check=True,
        )
