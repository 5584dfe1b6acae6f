"""The demo's history for the notebooks."""

from __future__ import annotations

import pytest
from click.testing import CliRunner
from support.demo_history import DATASETS, History
from support.renamed_lake import renamed_history

from lake.cli.main import root


@pytest.fixture(scope="session")
def history(tmp_path_factory: pytest.TempPathFactory) -> History:
    """Seven days with rollups, with a deploy and an outage."""
    folder = tmp_path_factory.mktemp("notebooks")
    made = History(*renamed_history(folder, {name: name for name in DATASETS}))
    done = CliRunner().invoke(root, ["rollup", "--config", str(made.lake.config)])
    assert done.exit_code == 0, done.output
    return made
