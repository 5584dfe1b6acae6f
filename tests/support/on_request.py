"""Programs that `lake services install` gets by name only, for the tests that use them."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from lake.servers import find


def needed(name: str) -> Path:
    """A program that comes on request only. Without it a test fails in CI and skips elsewhere."""
    binary = find(name)
    if binary is None:
        missing = f"no usable {name} here: `lake services install {name}` gets one"
        (pytest.fail if os.environ.get("CI") else pytest.skip)(missing)
    return binary.path
