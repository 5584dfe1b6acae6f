"""A copy of a loaded lake whose sources are gone, and a count of what is restored."""

from __future__ import annotations

from pathlib import Path

import pytest
from support.command_line import lake
from support.recovered import own, restores, temporary

__all__ = ["lake", "own", "restores", "temporary"]  # for pytest


@pytest.fixture(autouse=True)
def _in_temporary(temporary: Path) -> None:
    """Every test here."""
