"""The demo's history for the notebooks."""

from __future__ import annotations

import pytest
from support.demo_history import History, week_of_history


@pytest.fixture(scope="session")
def history(tmp_path_factory: pytest.TempPathFactory) -> History:
    """Seven days, with a deploy and an outage."""
    return week_of_history(tmp_path_factory.getbasetemp())
