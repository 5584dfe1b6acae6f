from __future__ import annotations

from pathlib import Path

import pytest
from support.settings_file import WHOLE


@pytest.fixture
def file(tmp_path: Path) -> Path:
    """A lake.toml with every section, to be changed."""
    path = tmp_path / "lake.toml"
    path.write_text(WHOLE)
    return path
