"""The folder of the user where installed servers are kept.

Belongs here: where it is, and installing into it once even if several processes want to.
Does not: what is installed.
"""

from __future__ import annotations

import fcntl
import shutil
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from lake.servers.progress import Progress

_COMPLETE = ".complete"
_LOOK_S = 0.5


def is_complete(directory: Path) -> bool:
    """Whether an installation there was finished."""
    return (directory / _COMPLETE).exists()


def install_once(
    name: str, directory: Path, build: Callable[[Path], None], progress: Progress
) -> None:
    """Lets `build` fill the directory, unless that is done already.

    One process builds, the others wait for it. The mark of completion comes
    last, so what an interrupted build leaves is ignored and removed.
    """
    if is_complete(directory):
        return
    directory.parent.mkdir(parents=True, exist_ok=True)
    with _locked(directory.with_name(f"{directory.name}.lock"), name, progress):
        if is_complete(directory):
            return
        if directory.exists():
            progress(name, "removing what an interrupted installation left")
            shutil.rmtree(directory)
        directory.mkdir()
        build(directory)
        (directory / _COMPLETE).touch()


@contextmanager
def _locked(path: Path, name: str, progress: Progress) -> Iterator[None]:
    with path.open("w") as file:
        started = time.monotonic()
        while True:
            try:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
                break
            except BlockingIOError:
                waited = time.monotonic() - started
                progress(name, f"another process is installing it: waiting, {waited:.0f} s")
                time.sleep(_LOOK_S)
        yield
