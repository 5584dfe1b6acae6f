"""Manifests as DuckDB reads them: from a directory, or from S3 with a cache on this machine.

Belongs here: one listing per dataset, contents, the cache and when it holds. Does not: what a
manifest means (lake.partition).

Statements have no parameters: the first makes DuckDB import pandas.

Over S3 one LIST returns names, sizes and times of modification. A content is taken from the cache
if all three are those of the object that was read. S3's times have a resolution of a second: the
content of an object that was modified in the last minute before it was read is not kept.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import NamedTuple

import duckdb

from lake.base.cache import cache_dir, write_cached
from lake.base.clock import utc_now
from lake.base.errors import UsageError
from lake.config.settings import Settings
from lake.partition.layout import partition_of_pending
from lake.query.failures import explained
from lake.query.kinds import quoted_text
from lake.query.s3 import with_endpoint
from lake.query.small_objects import ESCAPED, FEW, read_small
from lake.query.tables import without_patterns
from lake.store import ObjectStat, Store, open_store
from lake.store.several import of_each

_SETTLED = timedelta(minutes=1)
_NO_FILES = "No files found"
_VERSION = 1


@dataclass(frozen=True)
class _Listed:
    """An object of a listing; `modified` is ISO 8601, empty where it is not known."""

    file: str
    size: int
    modified: str

    @property
    def name(self) -> str:
        """The last part of its key."""
        return self.file.rpartition("/")[2]


class Manifests:
    """What lies below prefixes of the lake's root. Safe to use from several threads."""

    def __init__(
        self, connected: Callable[[], duckdb.DuckDBPyConnection], settings: Settings
    ) -> None:
        """`connected` returns the connection, each time the same: where all is cached it is not
        needed.
        """
        self._connected = connected
        self._settings = settings
        self._root = settings.lake.root.rstrip("/")
        self._on_s3 = self._root.startswith("s3://")
        self._is_escaped = self._on_s3 and ESCAPED.search(self._root) is not None
        self._seen: dict[str, frozenset[tuple[str, int, str]]] = {}  # as they were when read

    def read(self, prefix: str) -> Iterator[tuple[str, bytes | None]]:
        """Key and content of each manifest below the prefix, then the keys of pending ones.

        DuckDB reads them: it is here, boto3 not yet. Raises LakeError.
        """
        if self._is_escaped:
            yield from self._listed_by_store(prefix)
            return
        url = f"{self._root}/{prefix}"
        pattern = f"{without_patterns(url).rstrip('/')}/*"
        with explained(url):
            if self._on_s3:
                listed = self._list_s3(pattern)
                self._seen[prefix] = _stamps(listed)
                contents = self._cached(prefix, listed)
            else:
                self._seen[prefix] = self._stamps_of_files(prefix)
                cursor = self._connected().cursor()
                query = f"SELECT file FROM glob({quoted_text(pattern)})"  # noqa: S608
                rows = cursor.execute(query).fetchall()
                listed = [_Listed(file, 0, "") for (file,) in rows]
                contents = self._read_files(listed)
        yield from ((prefix + name, content) for name, content in contents.items())
        keys = (prefix + entry.name for entry in listed)
        yield from ((key, None) for key in keys if partition_of_pending(key))

    def have_changed(self, prefix: str) -> bool:
        """Whether there are others below the prefix than when it was read; unknown where the store
        lists it object by object. Raises LakeError.
        """
        if prefix not in self._seen:
            return False
        url = f"{self._root}/{prefix}"
        with explained(url):
            if self._on_s3:
                now = _stamps(self._list_s3(f"{without_patterns(url).rstrip('/')}/*"))
            else:
                now = self._stamps_of_files(prefix)
        return now != self._seen[prefix]

    def _stamps_of_files(self, prefix: str) -> frozenset[tuple[str, int, str]]:
        stamps = set()
        with contextlib.suppress(OSError):  # no folder: no day; a file that is just being replaced
            for entry in os.scandir(Path(self._root) / prefix):
                status = entry.stat()
                stamps.add((entry.name, status.st_size, str(status.st_mtime_ns)))
        return frozenset(stamps)

    def read_listed(self, folder: str, stats: Iterable[ObjectStat]) -> Iterator[tuple[str, bytes]]:
        """Key and content of each manifest, from a listing of a whole folder, one of several that
        are read at a time: on S3 only. Raises LakeError.
        """
        if self._is_escaped:
            yield from self._read_by_store([stat.key for stat in stats])
            return
        listed = [
            _Listed(f"{self._root}/{stat.key}", stat.bytes, _text(stat.modified)) for stat in stats
        ]
        with explained(f"{self._root}/{folder}"):
            contents = self._cached(folder, listed, by_name=1)
        yield from ((folder + name, content) for name, content in contents.items())

    def _list_s3(self, pattern: str) -> list[_Listed]:
        """By one LIST for each 1000 objects; without the contents nothing else is requested."""
        query = f"SELECT filename, size, last_modified FROM read_blob({quoted_text(pattern)})"  # noqa: S608
        try:
            rows = self._connected().cursor().execute(query).fetchall()
        except duckdb.IOException as error:
            if _NO_FILES in str(error):
                return []
            raise
        return [_Listed(file, size, _text(modified)) for file, size, modified in rows]

    def _cached(self, prefix: str, listed: list[_Listed], by_name: int = FEW) -> dict[str, bytes]:
        """The contents; what was read is kept for the next process."""
        file = _cache_file(self._settings, prefix)
        kept = _load(file)
        manifests = [entry for entry in listed if entry.name.endswith(".json")]
        valid = {
            manifest.name: entry.text.encode()
            for manifest in manifests
            if (entry := kept.get(manifest.name))
            and entry == _Kept(manifest.size, manifest.modified, entry.text)
        }
        missing = [manifest for manifest in manifests if manifest.name not in valid]
        before = (utc_now() - _SETTLED).isoformat()
        new = self._read_all(missing, manifests, by_name)
        if missing or len(kept) > len(valid):
            settled = [
                manifest
                for manifest in manifests
                if manifest.modified and manifest.modified < before
            ]
            _save(file, settled, valid | new)
        return valid | new

    def _read_all(
        self, missing: list[_Listed], listed: list[_Listed], by_name: int
    ) -> dict[str, bytes]:
        """The contents of the missing ones, by name."""
        names = {entry.file: entry.name for entry in missing}
        sizes = {entry.file: entry.size for entry in missing}
        held = [entry.file for entry in listed]
        return {
            names[file]: text for file, text in read_small(self._connected, sizes, held, by_name)
        }

    def _read_files(self, listed: Iterable[_Listed]) -> dict[str, bytes]:
        """By one call: quickly enough where they are on this machine."""
        files = [without_patterns(entry.file) for entry in listed if entry.name.endswith(".json")]
        if not files:
            return {}
        query = f"SELECT filename, content FROM read_blob([{', '.join(map(quoted_text, files))}])"  # noqa: S608
        rows = self._connected().cursor().execute(query).fetchall()
        return {file.rpartition("/")[2]: content for file, content in rows}

    def _listed_by_store(self, prefix: str) -> Iterator[tuple[str, bytes | None]]:
        """DuckDB does not take back what S3 escapes in the keys of a listing."""
        store = open_store(self._settings)
        below = (stat.key for stat in store.list(prefix))
        keys = [key for key in below if "/" not in key.removeprefix(prefix)]
        yield from self._read_by_store(keys, store)
        yield from ((key, None) for key in keys if partition_of_pending(key))

    def _read_by_store(
        self, keys: Iterable[str], store: Store | None = None
    ) -> Iterator[tuple[str, bytes]]:
        store = store or open_store(self._settings)
        manifests = [key for key in keys if key.endswith(".json")]
        yield from zip(manifests, of_each(store, store.read, manifests), strict=True)


def _stamps(listed: Iterable[_Listed]) -> frozenset[tuple[str, int, str]]:
    return frozenset((entry.name, entry.size, entry.modified) for entry in listed)


def _text(modified: datetime | None) -> str:
    return modified.astimezone(UTC).isoformat() if modified else ""


class _Kept(NamedTuple):
    """An entry of the cache: what the object was when its text was read."""

    size: int
    modified: str
    text: str


def known_names(settings: Settings, prefix: str) -> list[str]:
    """The names of objects below a prefix, without a request: of a directory all, of S3 those that
    are in the cache. Nothing where neither can be read.
    """
    root = settings.lake.root
    if root.startswith("s3://"):
        return list(_load(_cache_file(settings, prefix)))
    with contextlib.suppress(OSError):
        return os.listdir(Path(root) / prefix)  # noqa: PTH208  the names alone
    return []


def _cache_file(settings: Settings, prefix: str) -> Path | None:
    """None where the user has no folder for it."""
    endpoint = with_endpoint(settings.s3).endpoint_url or ""
    root = settings.lake.root.rstrip("/")
    of = hashlib.sha256(f"{endpoint}\n{root}\n{prefix}".encode()).hexdigest()
    try:
        return cache_dir() / "manifests" / f"{of[:32]}.json"
    except UsageError:  # no home directory
        return None


def _load(file: Path | None) -> dict[str, _Kept]:
    """By name; nothing where the file is not readable: then the objects are read."""
    if file is None:
        return {}
    with contextlib.suppress(OSError, ValueError, KeyError, TypeError, AttributeError):
        kept = json.loads(file.read_text("utf-8"))
        if kept["version"] == _VERSION:
            return {name: _Kept(*entry) for name, entry in kept["manifests"].items()}
    return {}


def _save(file: Path | None, listed: Iterable[_Listed], contents: Mapping[str, bytes]) -> None:
    """Without the cache the next process reads the objects."""
    if file is None:
        return
    kept = {}
    for entry in listed:
        with contextlib.suppress(UnicodeDecodeError):  # an invalid manifest is read each time
            kept[entry.name] = _Kept(entry.size, entry.modified, contents[entry.name].decode())
    with contextlib.suppress(OSError):
        write_cached(file, json.dumps({"version": _VERSION, "manifests": kept}).encode())
