"""Lakes made by hand, and the command in this process."""

from __future__ import annotations

import sys
from collections.abc import Callable, Sequence
from pathlib import Path

import pyarrow as pa
import pytest
from support.demo_history import History, week_of_history
from support.hand_made import HandMadeLake, hand_made_lake

from lake.cli import main

Maker = Callable[..., HandMadeLake]


@pytest.fixture
def make_lake(tmp_path: Path) -> Maker:
    """Makes a lake below the test's own directory."""

    def make(*datasets: str, where: str = "", **options: str) -> HandMadeLake:
        return hand_made_lake(tmp_path / where, *datasets, **options)

    return make


@pytest.fixture(scope="session")
def history(tmp_path_factory: pytest.TempPathFactory) -> History:
    """Seven days, with a deploy on the fifth and an outage on the sixth."""
    return week_of_history(tmp_path_factory.getbasetemp())


Run = Callable[..., tuple[int, str, str]]


@pytest.fixture
def run(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Run:
    """Runs `lake` in this process; exit status, standard output, standard error."""

    def call(*arguments: object) -> tuple[int, str, str]:
        capsys.readouterr()
        monkeypatch.setattr(sys, "argv", ["lake", *map(str, arguments)])
        try:
            main()
            status = 0
        except SystemExit as end:
            status = int(end.code or 0)
        out, err = capsys.readouterr()
        return status, out, err

    return call


@pytest.fixture
def table() -> Callable[..., pa.Table]:
    """A table from columns; a column is a list, or (list, type)."""

    def build(**columns: Sequence[object] | tuple[Sequence[object], pa.DataType]) -> pa.Table:
        arrays = {
            name: pa.array(*column) if isinstance(column, tuple) else pa.array(column)
            for name, column in columns.items()
        }
        return pa.table(arrays)

    return build
