"""A store whose folders are listed once.

Belongs here: listings that answer for every prefix below them. Does not: contents (see
lake.query.cached_store).

For what looks at the whole lake: one LIST for each thousand objects instead of one or more for
each dataset.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Iterator
from operator import attrgetter
from threading import Lock
from typing import Any

from lake.store.protocol import ObjectStat, Store

_KEY = attrgetter("key")


class ListedOnce:
    """Listings as of their first one; everything else is the other store's, as of now.

    Safe for several threads.
    """

    def __init__(self, store: Store, *folders: str) -> None:
        """`folders` are prefixes that end with a slash; other prefixes are listed each time."""
        self._store = store
        self._folders = folders
        self._lock = Lock()
        self._listed: dict[str, list[ObjectStat]] = {}

    def __getattr__(self, name: str) -> Any:
        return getattr(self._store, name)

    def list(self, prefix: str) -> Iterator[ObjectStat]:
        """See Store."""
        folder = next((folder for folder in self._folders if prefix.startswith(folder)), None)
        if folder is None:
            yield from self._store.list(prefix)
            return
        with self._lock:
            if folder not in self._listed:
                self._listed[folder] = sorted(self._store.list(folder), key=_KEY)
        stats = self._listed[folder]
        for number in range(bisect_left(stats, prefix, key=_KEY), len(stats)):
            if not stats[number].key.startswith(prefix):
                return
            yield stats[number]
