"""What a test's work has left in a folder of temporary files."""

from __future__ import annotations

import os
from pathlib import Path


def left_in(folder: Path) -> list[Path]:
    """All but this process's directory for what DuckDB spills: it stays until the process ends."""
    own = f"lake-query-{os.getpid()}-"
    return [path for path in folder.iterdir() if not path.name.startswith(own)]
