"""A store whose reads are kept until the object changes.

Belongs here: keeping contents by the etag of the last listing. Does not: what they mean.

A served page reads every manifest at each load; only those that a listing shows as changed are
read again. An object that was not listed is always read.
"""

from __future__ import annotations

from collections.abc import Iterator
from threading import Lock
from typing import Any

from lake.store import Store
from lake.store.protocol import ObjectStat


class CachedStore:
    """Reads of another store; everything else is the other store's. Safe for several threads."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self._lock = Lock()
        self._listed: dict[str, str] = {}
        self._kept: dict[str, tuple[str, bytes]] = {}

    def __getattr__(self, name: str) -> Any:
        return getattr(self._store, name)

    def list(self, prefix: str) -> Iterator[ObjectStat]:
        """See Store. What a complete listing does not show any more is forgotten."""
        seen = set()
        for stat in self._store.list(prefix):
            seen.add(stat.key)
            with self._lock:
                self._listed[stat.key] = stat.etag
            yield stat
        with self._lock:
            for key in [key for key in self._listed if key.startswith(prefix) and key not in seen]:
                del self._listed[key]
                self._kept.pop(key, None)

    def read(self, key: str) -> bytes:
        """See Store."""
        etag = self._listed.get(key)
        kept = self._kept.get(key)
        if kept and etag and kept[0] == etag:
            return kept[1]
        data = self._store.read(key)
        if etag:
            # An object that was replaced after the listing has another etag in the next one.
            with self._lock:
                self._kept[key] = (etag, data)
        return data
