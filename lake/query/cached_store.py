"""A store whose reads are kept until a listing shows that the object has changed.

Belongs here: keeping contents by the etag of the last listing. Does not: what they mean.

For what reads every manifest again and again: a page at each load, the checks of alerts, metrics.
What is read is as of the last listing: not for a run that replaces partitions. An object that was
not listed is always read.

Of S3 many small objects are read at once, by DuckDB, with its cache on this machine
(lake.query.manifests): a call of boto3 costs two milliseconds of the processor.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import cache
from threading import Lock
from typing import TYPE_CHECKING, Any

from lake.base.errors import LakeError, Missing
from lake.config.settings import Settings
from lake.partition.layout import MANIFESTS
from lake.query import connect
from lake.query.manifests import Manifests
from lake.store import Store
from lake.store.protocol import ObjectStat

if TYPE_CHECKING:
    import duckdb

_LOG = logging.getLogger(__name__)
FEW = 40  # objects of a listing that are read one by one
_FOLDERS = 4  # at once: the last requests of one leave connections idle
Bulk = Callable[[str, Sequence[ObjectStat]], Iterable[tuple[str, bytes]]]


def cached_store(settings: Settings, store: Store) -> CachedStore:
    """The store of these settings, with what is right for its kind. Raises LakeError."""
    if not settings.lake.root.startswith("s3://"):
        return CachedStore(store)

    opening = Lock()

    @cache
    def opened() -> duckdb.DuckDBPyConnection:
        return connect(settings).connection

    def connected() -> duckdb.DuckDBPyConnection:
        with opening:  # DuckDB starts with the first manifest that is not in its cache
            return opened()

    return CachedStore(store, Manifests(connected, settings).read_listed)


class CachedStore:
    """Reads of another store; everything else is the other store's. Safe for several threads."""

    def __init__(self, store: Store, bulk: Bulk | None = None) -> None:
        """`bulk` returns key and content of manifests, from a folder and its listing."""
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
        folders: dict[str, list[ObjectStat]] = {}
        for stat in self._store.list(prefix):
            seen.add(stat.key)
            folders.setdefault(stat.key.rpartition("/")[0] + "/", []).append(stat)
            with self._lock:
                self._listed[stat.key] = stat.etag
            yield stat
        with self._lock:
            for key in self._below.get(prefix, set()) - seen:
                self._listed.pop(key, None)
                self._kept.pop(key, None)
            self._below[prefix] = seen
        if self._bulk:
            self._read_changed(prefix, folders, self._bulk)

    def _read_changed(
        self, prefix: str, folders: Mapping[str, Sequence[ObjectStat]], bulk: Bulk
    ) -> None:
        """Where many manifests have changed: some folders at once."""
        changed = {
            folder: keys
            for folder, stats in folders.items()
            # One that the prefix covers as a whole: the cache of a folder has all of it.
            if folder.startswith(MANIFESTS) and folder.startswith(prefix)
            if (keys := {stat.key for stat in stats if not self._is_kept(stat.key)})
        }
        if sum(map(len, changed.values())) <= FEW:
            return
        with ThreadPoolExecutor(_FOLDERS) as pool:
            reads = [
                pool.submit(self._read_at_once, folder, folders[folder], keys, bulk)
                for folder, keys in changed.items()
            ]
            errors = [error for read in reads if (error := read.result())]
        if errors:
            _LOG.warning("%s is read object by object, which takes longer: %s", prefix, errors[0])

    def _is_kept(self, key: str) -> bool:
        kept = self._kept.get(key)
        return kept is not None and kept[0] == self._listed.get(key)

    def _read_at_once(
        self, folder: str, stats: Sequence[ObjectStat], wanted: set[str], bulk: Bulk
    ) -> LakeError | None:
        """After the listing: what is read is as new as the etag that it is kept under, or newer,
        and then has another etag in the next listing. Returns why objects can't be read so.
        """
        try:
            for key, content in bulk(folder, stats):
                if key in wanted:
                    with self._lock:
                        self._kept[key] = (self._listed[key], content)
        except Missing:  # one has been deleted since: each is read by itself
            return None
        except LakeError as error:
            return error
        return None

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
