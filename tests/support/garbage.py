"""Modules and collected tests are no garbage: Python's collector passes over them.

Belongs here: when it runs at all. Does not: what tests measure of memory.
"""

from __future__ import annotations

import gc
from collections.abc import Iterator

import pytest


@pytest.hookimpl(wrapper=True)
def pytest_collection() -> Iterator[None]:
    """Two million objects stay to the end; each full collection would take half a second."""
    gc.disable()
    try:
        return (yield)
    finally:
        gc.freeze()
        gc.enable()
