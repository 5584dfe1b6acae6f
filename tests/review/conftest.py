"""The lake that a review is about."""

from __future__ import annotations

from pathlib import Path

import pytest
from support.command_line import run
from support.ledger_days import ago, export, lake

__all__ = ["run"]  # for pytest


@pytest.fixture
def place(tmp_path: Path):
    """Three datasets of nine days; of `lines` three days are missing."""
    file, settings, store = lake(tmp_path, ago(9))
    every = [ago(n) for n in range(9, 0, -1)]
    export(store, settings, "events", every)
    export(store, settings, "requests", every)
    export(store, settings, "lines", [day for day in every if day not in (ago(6), ago(5), ago(2))])
    return file, settings, store
