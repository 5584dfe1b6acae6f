"""README says what a newcomer needs. Its commands: test_blocks."""

from __future__ import annotations

import importlib
import re
from pathlib import Path

TEXT = (Path(__file__).parents[2] / "README.md").read_text("utf-8")


def test_a_newcomer_finds_the_command_and_knows_what_runs() -> None:
    assert ".venv/bin/lake" in TEXT
    assert "source .venv/bin/activate" in TEXT
    assert "not MongoDB itself" in TEXT


def test_dagsters_module_is_one() -> None:
    (module,) = set(re.findall(r"dagster dev --module-name (\S+)", TEXT))
    assert hasattr(importlib.import_module(module), "defs")
