"""Prefetching: makes the next item while the current one is used.

Belongs here: one thread that runs one step ahead. Does not: what the steps are.
"""

from __future__ import annotations

from collections.abc import Generator, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

Item = TypeVar("Item")


def one_ahead(items: Iterator[Item]) -> Generator[Item]:
    """The same items, of which none is None. When it is closed, no step is running any more.

    Raises what `items` raises, in its place.
    """
    with ThreadPoolExecutor(1) as pool:
        coming = pool.submit(next, items, None)
        while (item := coming.result()) is not None:
            coming = pool.submit(next, items, None)
            yield item
