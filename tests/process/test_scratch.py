"""Scratch directories: what killed processes leave is removed, what is in use is not."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from lake.process.scratch import remove_abandoned, scratch_directory

_HOLDS_ONE = """
import sys, time
from pathlib import Path
from lake.process.scratch import scratch_directory
with scratch_directory(parent=Path(sys.argv[1])) as folder:
    (folder / "part").write_text("half")
    print(folder, flush=True)
    time.sleep(600)
"""


@pytest.fixture(autouse=True)
def _first_of_its_process() -> Iterator[None]:
    remove_abandoned.cache_clear()
    yield
    remove_abandoned.cache_clear()


def holding(parent: Path) -> tuple[subprocess.Popen[str], Path]:
    """A process in the middle of its work, and its directory below the parent."""
    process = subprocess.Popen(
        [sys.executable, "-c", _HOLDS_ONE, str(parent)], stdout=subprocess.PIPE, text=True
    )
    return process, Path(process.stdout.readline().strip()).parent


def grow_old(directory: Path) -> None:
    then = time.time() - 3600
    os.utime(directory, (then, then))


def test_a_directory_is_empty_and_gone_afterwards(tmp_path: Path) -> None:
    with scratch_directory(parent=tmp_path) as folder:
        assert list(folder.iterdir()) == []
        (folder / "part").write_text("x")
    assert list(tmp_path.iterdir()) == []


def test_what_a_killed_process_left_is_removed_by_the_next_one(tmp_path: Path) -> None:
    process, left = holding(tmp_path)
    process.kill()
    process.wait()
    assert (left / "work" / "part").exists()
    grow_old(left)
    with scratch_directory(parent=tmp_path) as folder:
        assert list(tmp_path.iterdir()) == [folder.parent]


def test_what_is_in_use_stays(tmp_path: Path) -> None:
    process, used = holding(tmp_path)
    try:
        grow_old(used)
        with scratch_directory(parent=tmp_path):
            assert (used / "work" / "part").read_text() == "half"
    finally:
        process.kill()
        process.wait()


def test_other_directories_stay(tmp_path: Path) -> None:
    """Young ones whose owner may not have its lock yet, and what has no owner's file."""
    (tmp_path / "elsewhere").mkdir()
    (tmp_path / "elsewhere" / "owner.lock").touch()
    young, foreign = tmp_path / "lake-young", tmp_path / "lake-of-someone"
    for directory in (young, foreign):
        directory.mkdir()
    (young / "owner.lock").touch()
    (foreign / "thesis.txt").write_text("mine")
    (tmp_path / "lake-link").symlink_to(tmp_path / "elsewhere", target_is_directory=True)
    grow_old(foreign)
    grow_old(tmp_path / "elsewhere")
    before = sorted(path.name for path in tmp_path.iterdir())
    with scratch_directory(parent=tmp_path):
        pass
    assert sorted(path.name for path in tmp_path.iterdir()) == before
    assert (foreign / "thesis.txt").exists()


def test_a_killed_export_leaves_nothing_for_good(tmp_path: Path) -> None:
    """The directory that TMPDIR names is the one that is looked through."""
    process, left = holding(tmp_path)
    process.kill()
    process.wait()
    grow_old(left)
    code = "from lake.process.scratch import scratch_directory\nwith scratch_directory(): pass"
    environment = {**os.environ, "TMPDIR": str(tmp_path)}
    subprocess.run([sys.executable, "-c", code], env=environment, check=True, timeout=60)
    assert list(tmp_path.iterdir()) == []
