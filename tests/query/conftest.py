"""Lakes made by hand, and the command in this process."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path

import pyarrow as pa
import pytest
from support.command_line import run
from support.demo_history import History, week_of_history
from support.hand_made import HandMadeLake, hand_made_lake

__all__ = ["run"]  # for pytest
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


@pytest.fixture
def lake(make_lake: Maker, table: Callable[..., pa.Table]) -> HandMadeLake:
    """Three days of one dataset, with a control character in a text and an empty column."""
    lake = make_lake("events")
    for number, day in enumerate(("2026-07-01", "2026-07-02", "2026-07-03")):
        lake.put("events", day, table(n=[number], line=["a\x1b[31mred\nline"], more=[None]))
    return lake
