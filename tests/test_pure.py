"""Which tests `make check` runs: found by what they call, and held to it."""

from __future__ import annotations

from pathlib import Path

import pytest
from support import pure

from lake.servers import Stack, start
from lake.servers.process import Process


def direct() -> Stack:
    return start(["mongo"])


def by_helper() -> list[Stack]:
    return [Place().stack for _ in range(2)]


class Place:
    @property
    def stack(self) -> Stack:
        return direct()


def by_class() -> Stack:
    return Place().stack


def recursive() -> None:
    recursive()


@pytest.mark.parametrize(
    ("function", "starts"),
    [(direct, True), (by_helper, True), (by_class, True), (recursive, False), (len, False)],
)
def test_what_starts_a_server_is_found(function, starts):
    assert pure.starts_server(function, set()) is starts


def test_this_test_is_marked_and_may_start_no_program(request, tmp_path: Path, monkeypatch):
    assert request.node.get_closest_marker("pure")
    monkeypatch.setattr(pure, "_current", [request.node])
    with pytest.raises(pytest.fail.Exception, match="starts a program: mark it `servers`"):
        Process(["true"], home=tmp_path, log=tmp_path / "log", environment={}, grace_s=1,
                throw_away=False)  # fmt: skip


@pytest.mark.servers
def test_a_marked_test_may(request, tmp_path: Path):
    assert not request.node.get_closest_marker("pure")
    process = Process(["true"], home=tmp_path, log=tmp_path / "log", environment={}, grace_s=1,
                      throw_away=False)  # fmt: skip
    assert process.wait(30) == 0
