from __future__ import annotations

from pathlib import Path

import pytest
from support.aged_lake import Aged, aged, sharing_snapshots


@pytest.fixture
def place(tmp_path: Path) -> Aged:
    """A lake of all ages, with snapshots of Loki that share objects."""
    made = aged(tmp_path)
    sharing_snapshots(made.store, recent=[3, 2, 1])
    return made
