"""Several small objects of a store at once.

Belongs here: how many threads are worth it. Does not: what is done with an object.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

from lake.store.protocol import Store

_MOST_THREADS = 16
_Item = TypeVar("_Item")
_Result = TypeVar("_Result")


def of_each(
    store: Store, work: Callable[[_Item], _Result], items: Iterable[_Item]
) -> list[_Result]:
    """`work` of every item, in their order. Raises what the work raises."""
    all_items = list(items)
    threads = min(_MOST_THREADS, len(all_items) // store.objects_a_thread)
    if threads < 2:
        return [work(item) for item in all_items]

    def of_share(share: Sequence[_Item]) -> list[_Result]:
        return [work(item) for item in share]

    # A share for each thread: a task for each item costs as much as reading a file.
    shares = [all_items[number::threads] for number in range(threads)]
    with ThreadPoolExecutor(threads) as pool:
        done = list(pool.map(of_share, shares))
    return [done[at % threads][at // threads] for at in range(len(all_items))]
