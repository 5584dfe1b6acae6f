"""The order of test files where several run at a time.

Belongs here: files with slow tests first, then those with many tests that start servers, so that
none of them starts last and runs on alone. Does not: the order within a file.
"""

from __future__ import annotations

from collections import Counter

import pytest


@pytest.hookimpl(trylast=True)
def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Only in a worker of pytest-xdist, which takes files in this order."""
    if not hasattr(config, "workerinput"):
        return
    slow = Counter(item.path for item in items if item.get_closest_marker("slow"))
    on_servers = Counter(item.path for item in items if not item.get_closest_marker("pure"))
    items.sort(key=lambda item: (-slow[item.path], -on_servers[item.path], str(item.path)))
