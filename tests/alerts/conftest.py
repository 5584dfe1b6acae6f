from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from support.command_line import run
from support.receivers import Mailbox, receiver, smtp_receiver

from lake.base import redaction

__all__ = ["receiver", "run"]  # for pytest
BASE = '[lake]\nroot = "lake"\n'


@pytest.fixture(autouse=True)
def _no_secrets_of_others(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(redaction, "_secrets", set())


@pytest.fixture
def mailbox() -> Iterator[Mailbox]:
    with smtp_receiver() as running:
        yield running


@pytest.fixture
def config(tmp_path: Path) -> Callable[[str], str]:
    """Writes a lake.toml with these sections."""

    def write(more: str) -> str:
        file = tmp_path / "lake.toml"
        file.write_text(BASE + more)
        return str(file)

    return write
