"""Temporary files of a run in memory, where there is room: a disk takes half of a test's time.

Each export, each server and each killed process syncs its files, and tests do little else.

Belongs here: where temporary files of tests and of the servers that they start lie, until when.
Does not: what is in them. With TMPDIR set, or `--basetemp`, they lie there.
"""

from __future__ import annotations

import os
import re
import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

_MEMORY = Path("/dev/shm")
_PREFIX = "lake-tests-"
_ROOM = 8 << 30  # bytes: four times what a whole run was seen to need

_made: list[Path] = []


def pytest_configure() -> None:
    """For this process and those that it starts, a run's workers included."""
    if "TMPDIR" in os.environ or not _has_room():
        return
    _remove_those_of_ended_runs()
    folder = _MEMORY / f"{_PREFIX}{os.getpid()}"
    folder.mkdir(mode=0o700)
    _made.append(folder)
    os.environ["TMPDIR"] = tempfile.tempdir = str(folder)


def _has_room() -> bool:
    """In containers the file system is often 64 MiB."""
    try:
        meminfo = Path("/proc/meminfo").read_text("ascii")
        free = shutil.disk_usage(_MEMORY).free
    except OSError:  # no Linux
        return False
    available = re.search(r"^MemAvailable: +(\d+) kB$", meminfo, re.MULTILINE)
    return available is not None and min(free, int(available[1]) << 10) >= _ROOM


def _remove_those_of_ended_runs() -> None:
    for folder in _MEMORY.glob(f"{_PREFIX}*"):
        runs = Path("/proc", folder.name.removeprefix(_PREFIX)).exists()
        if not runs and folder.stat().st_uid == os.getuid():
            shutil.rmtree(folder, ignore_errors=True)


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """What pytest keeps of failed tests stays until the next run."""
    if terminalreporter.stats.keys() & {"failed", "error"}:
        for folder in _made:
            terminalreporter.write_line(f"files of failed tests, in memory: {folder}")


@pytest.hookimpl(wrapper=True)
def pytest_sessionfinish(exitstatus: int) -> Iterator[None]:
    """After the workers have ended."""
    yield
    if exitstatus in (pytest.ExitCode.OK, pytest.ExitCode.NO_TESTS_COLLECTED):
        for folder in _made:
            shutil.rmtree(folder, ignore_errors=True)
