"""What is left of the machine: limits of cgroups, of this process's own and of those above."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from lake.base import machine

GIB = 1 << 30
MACHINE = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")


@pytest.fixture
def cgroups(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    """Lays out the kernel's files: this process's groups, and limits by folder."""

    def lay(groups: str, **limits: str) -> int:
        (tmp_path / "self").write_text(groups)
        for file, limit in limits.items():
            path = tmp_path / "mounted" / file
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(limit + "\n")
        monkeypatch.setattr(machine, "_CGROUP", tmp_path / "self")
        monkeypatch.setattr(machine, "_MOUNTED", tmp_path / "mounted")
        machine.memory_bytes.cache_clear()
        return machine.memory_bytes()

    yield lay
    machine.memory_bytes.cache_clear()


V2, V1 = "memory.max", "memory.limit_in_bytes"


@pytest.mark.parametrize(
    ("groups", "limits", "expected"),
    [
        ("0::/a/b\n", {f"a/b/{V2}": str(GIB)}, GIB),
        ("0::/a/b\n", {f"a/b/{V2}": "max", f"a/{V2}": str(GIB // 2)}, GIB // 2),
        ("0::/\n", {V2: str(GIB)}, GIB),  # in a container
        ("0::/a\n", {f"a/{V2}": "max", f"b/{V2}": str(GIB)}, MACHINE),
        ("4:memory:/a\n0::/\n", {f"memory/a/{V1}": str(GIB), V2: "max"}, GIB),
        ("4:cpu,memory:/a/b\n", {f"memory/a/{V1}": str(GIB)}, GIB),
        ("4:memory:/docker/f00\n", {f"memory/{V1}": str(GIB)}, GIB),  # the host's path
        ("4:memory:/\n", {f"memory/{V1}": "9223372036854771712"}, MACHINE),  # none
        ("4:cpu:/a\n", {f"memory/a/{V1}": str(GIB)}, MACHINE),
        ("", {}, MACHINE),
    ],
)
def test_the_smallest_limit_counts(cgroups, groups: str, limits: dict, expected: int) -> None:
    assert cgroups(groups, **limits) == expected


def test_without_cgroups(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(machine, "_CGROUP", tmp_path / "gone")
    machine.memory_bytes.cache_clear()
    assert machine.memory_bytes() == MACHINE


def test_processors_are_those_of_this_process() -> None:
    before = os.sched_getaffinity(0)
    os.sched_setaffinity(0, {min(before)})
    try:
        assert machine.processors() == 1
    finally:
        os.sched_setaffinity(0, before)
    assert machine.processors() == len(before)
