from __future__ import annotations

from collections.abc import Callable, Iterator

import pytest
from support.command_line import runner


@pytest.fixture
def run(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> Iterator[Callable[..., tuple[int, str, str]]]:
    with runner(monkeypatch, capsys) as command:
        yield command
