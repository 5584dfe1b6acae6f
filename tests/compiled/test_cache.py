"""Machine code is kept by what it depends on."""

import os
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from lake.base.errors import UsageError
from lake.compiled import cache as machine_code

LOOP = """
from lake.compiled import I64, compiled
from loops.constants import FACTOR
from loops.functions import more

@compiled(I64(I64))
def times(number):
    return more(number) * FACTOR
"""
FUNCTIONS = """
from lake.compiled import inlined

@inlined
def more(number):
    return number + {added}
"""


@pytest.fixture
def package(tmp_path):
    folder = tmp_path / "loops"
    folder.mkdir()
    (folder / "__init__.py").touch()
    (folder / "loop.py").write_text(LOOP)
    (folder / "constants.py").write_text("FACTOR = 10\n")
    (folder / "functions.py").write_text(FUNCTIONS.format(added=1))
    return folder


def outcome(package: Path, *, cache: Path | None = None) -> tuple[str, str]:
    """What the loop returns for 1, and "kept" or "compiled"."""
    program = (
        "from loops.loop import times; "
        "print(times(1), 'kept' if sum(times.stats.cache_hits.values()) else 'compiled')"
    )
    folder = cache or package.parent / "cache"
    answer = subprocess.run(
        [sys.executable, "-c", program],
        cwd=package.parent,
        # Python's own bytecode goes by size and time, which a test here leaves as they were.
        env=os.environ | {"LAKE_CACHE_DIR": str(folder), "PYTHONDONTWRITEBYTECODE": "1"},
        capture_output=True,
        text=True,
        check=True,
    )
    number, how = answer.stdout.split()
    return number, how


def test_an_edit_of_a_dependency_compiles_anew(package):
    assert outcome(package) == ("20", "compiled")
    assert outcome(package) == ("20", "kept")
    # Neither edit touches the file in which the loop stands, nor need it change a size or a time.
    times = (package / "constants.py").stat()
    (package / "constants.py").write_text("FACTOR = 11\n")
    os.utime(package / "constants.py", ns=(times.st_atime_ns, times.st_mtime_ns))
    assert outcome(package) == ("22", "compiled")
    (package / "functions.py").write_text(FUNCTIONS.format(added=2))
    assert outcome(package) == ("33", "compiled")
    assert outcome(package) == ("33", "kept")


def test_an_edit_that_is_taken_back_finds_what_was_kept(package):
    outcome(package)
    (package / "constants.py").write_text("FACTOR = 11\n")
    outcome(package)
    (package / "constants.py").write_text("FACTOR = 10\n")
    assert outcome(package) == ("20", "kept")


def test_another_checkout_of_the_same_text_shares_it(package, tmp_path):
    cache = tmp_path / "cache"
    outcome(package, cache=cache)
    other = tmp_path / "other" / "loops"
    other.parent.mkdir()
    package.rename(other)
    assert outcome(other, cache=cache) == ("20", "kept")


def test_a_folder_that_cannot_be_written(package, tmp_path):
    (tmp_path / "file").touch()
    assert outcome(package, cache=tmp_path / "file") == ("20", "compiled")


def test_what_a_month_long_nothing_used_is_removed(package, tmp_path):
    outcome(package)
    (kept,) = (tmp_path / "cache" / "compiled" / "loops.loop").iterdir()
    os.utime(kept, (0, 0))
    (package / "constants.py").write_text("FACTOR = 11\n")
    outcome(package)
    assert not kept.exists()


def test_one_of_several_processes_compiles(package):
    with ThreadPoolExecutor() as pool:
        outcomes = list(pool.map(outcome, [package] * 3))
    assert sorted(outcomes) == [("20", "compiled"), ("20", "kept"), ("20", "kept")]


def test_one_that_is_suspended_while_it_compiles_is_not_waited_for_long(monkeypatch, tmp_path):
    monkeypatch.setattr(machine_code, "_WAIT_S", 0.1)
    with machine_code._after_others(tmp_path), machine_code._after_others(tmp_path):
        pass


def test_a_user_without_a_home_directory(monkeypatch):
    def homeless():
        raise UsageError("no folder for the cache")

    monkeypatch.setattr(machine_code, "cache_dir", homeless)
    machine_code._folder.cache_clear()
    try:
        assert machine_code._folder("lake.compiled.varints") is None
    finally:
        machine_code._folder.cache_clear()
