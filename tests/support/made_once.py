"""What several tests need and none changes, made once for all workers of a run.

Belongs here: where it lies, and that it is made once. Does not: what it is.
"""

from __future__ import annotations

import fcntl
import os
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

_shared: list[Path] = []


@pytest.fixture(scope="session", autouse=True)
def shared_folder(tmp_path_factory: pytest.TempPathFactory) -> None:
    """A worker's base folder lies in that of the run."""
    base = tmp_path_factory.getbasetemp()
    _shared[:] = [base.parent if "PYTEST_XDIST_WORKER" in os.environ else base]


def made_once(name: str, make: Callable[[Path], object]) -> Path:
    """The folder of that name. The first to call makes it; nobody writes to it afterwards."""
    place = _shared[0] / name
    with (_shared[0] / f"{name}.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not place.exists():
            part = _shared[0] / f"{name}.part"
            shutil.rmtree(part, ignore_errors=True)  # of a worker that ended in the middle
            make(part)
            part.rename(place)
    return place
