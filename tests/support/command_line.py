"""Runs `lake` within the test's own process.

Belongs here: the run, and the fixtures of it that a conftest imports. Does not: a configuration.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import pytest

from lake.cli import main

Run = Callable[..., tuple[int, str, str]]
"""Arguments → exit status, standard output, standard error."""


@contextmanager
def runner(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Iterator[Run]:
    """The command; the hook of uncaught errors is put back."""
    monkeypatch.setattr(sys, "excepthook", sys.excepthook)

    def run(*arguments: object) -> tuple[int, str, str]:
        monkeypatch.setattr(sys, "argv", ["lake", *map(str, arguments)])
        capsys.readouterr()
        with pytest.raises(SystemExit) as done:
            main()
        out, err = capsys.readouterr()
        return done.value.code, out, err

    yield run


@pytest.fixture
def run(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Iterator[Run]:
    """Runs the command line: exit status, standard output, standard error."""
    with runner(monkeypatch, capsys) as command:
        yield command


@pytest.fixture
def lake(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Iterator[Run]:
    """The same by another name."""
    with runner(monkeypatch, capsys) as command:
        yield command
