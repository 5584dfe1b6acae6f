"""A store whose reads are kept until a listing shows that the object has changed.

Belongs here: keeping contents by the etag of the last listing. Does not: what they mean.

For what reads every manifest again and again: a page at each load, the checks of alerts, metrics.
What is read is as of the last listing: not for a run that replaces partitions. An object that was
not listed is always read.

Of S3 many small objects are read at once, by DuckDB, with its cache on this machine
(lake.query.manifests): a call of boto3 costs two milliseconds of the processor.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from threading import Lock
from typing import Any

from lake.config.settings import Settings
from lake.partition.layout import MANIFESTS
from lake.query import connect
from lake.query.manifests import Manifests
from lake.store import Store
from lake.store.protocol import ObjectStat

FEW = 40  # objects that are read one by one
Bulk = Callable[[str], Iterable[tuple[str, bytes | None]]]


def cached_store(settings: Settings, store: Store) -> CachedStore:
    """The store of these settings, with what is right for its kind. Raises LakeError."""
    if not settings.lake.root.startswith("s3://"):
        return CachedStore(store)
    return CachedStore(store, Manifests(connect(settings).connection, settings).read)


class CachedStore:
    """Reads of another store; everything else is the other store's. Safe for several threads."""

    def __init__(self, store: Store, bulk: Bulk | None = None) -> None:
        """`bulk` returns key and content of all objects below a prefix."""
        self._store = store
        self._bulk = bulk
        self._lock = Lock()
        self._listed: dict[str, str] = {}
        self._below: dict[str, set[str]] = {}  # by prefix, as of its last listing
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
            for key in self._below.get(prefix, set()) - seen:
                self._listed.pop(key, None)
                self._kept.pop(key, None)
            self._below[prefix] = seen
        if self._bulk and prefix.startswith(MANIFESTS):
            changed = {key for key in seen if not self._is_kept(key)}
            if len(changed) > FEW:
                self._read_at_once(prefix, changed, self._bulk)

    def _is_kept(self, key: str) -> bool:
        kept = self._kept.get(key)
        return kept is not None and kept[0] == self._listed.get(key)

    def _read_at_once(self, prefix: str, wanted: set[str], bulk: Bulk) -> None:
        """After the listing: what is read is as new as the etag that it is kept under, or newer,
        and then has another etag in the next listing.
        """
        for key, content in bulk(prefix):
            if content is not None and key in wanted:
                with self._lock:
                    self._kept[key] = (self._listed[key], content)

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
