"""Rollups of a lake on S3 as files on this machine: small objects that hardly ever change.

Belongs here: which files are there and right, fetching the others. Does not: rollups' SQL
(tables), manifests (their cache is in manifests).

A file counts if its SHA-256 is the manifest's, which is computed each time: a rollup that was made
again, or a file that was damaged, is fetched.
"""

from __future__ import annotations

import contextlib
import hashlib
from collections.abc import Iterable
from dataclasses import replace
from pathlib import Path

import duckdb

from lake.base.cache import cache_dir, write_cached
from lake.base.day import Day
from lake.base.errors import BadData, UsageError
from lake.config.settings import Settings
from lake.partition.layout import rollup_key, rollup_prefix
from lake.query.failures import explained
from lake.query.s3 import with_endpoint
from lake.query.small_objects import read_small
from lake.query.tables import Table

_MOST_BYTES = 64 << 20  # of a rollup that is kept whole


def local_rollups(
    connection: duckdb.DuckDBPyConnection, settings: Settings, table: Table, days: Iterable[Day]
) -> Table | None:
    """The table of these days' rollups as files, under another name. None where the root is not
    on S3, where an object is large, or without a folder for them.

    Raises LakeError where an object can't be read or differs from its manifest.
    """
    chosen = {day: table.manifests[day] for day in days if day in table.manifests}
    if not settings.lake.root.startswith("s3://") or not chosen:
        return None
    if any(manifest.bytes > _MOST_BYTES for manifest in chosen.values()):
        return None
    try:
        folder = _folder(settings)
        folder.mkdir(parents=True, exist_ok=True)
    except (OSError, UsageError):  # no home directory, or none that can be written
        return None

    def url(key: str) -> str:
        return str(folder / key)

    local = replace(
        # No dataset has a name with a space.
        table,
        dataset=f"{table.dataset} local",
        manifests=chosen,
        url=url,
        unrolled=frozenset(),
    )
    missing = [day for day in chosen if not _is_right(_path(local, day), chosen[day].sha256)]
    try:
        _fetch(connection, settings, table, local, missing)
        _prune(folder, table)
    except OSError:  # such as a full disk: objects are read where they are
        return None
    return local


def forget_local(settings: Settings, dataset: str, day: Day) -> None:
    """Removes this machine's copy of a day's rollup, where rows were erased or the day was dropped.
    Other machines replace or remove theirs when they next need one of the dataset.
    """
    with contextlib.suppress(FileNotFoundError, UsageError):  # no copy, no home directory
        (_folder(settings) / rollup_key(dataset, day)).unlink()


def _folder(settings: Settings) -> Path:
    """Raises UsageError without a home directory."""
    endpoint = with_endpoint(settings.s3).endpoint_url or ""
    of = hashlib.sha256(f"{endpoint}\n{settings.lake.root}".encode()).hexdigest()[:32]
    return cache_dir() / "rollups" / of


def _prune(folder: Path, table: Table) -> None:
    """Removes the files of days that have no rollup any more: dropped, or past their retention."""
    held = {folder / table.key(table.dataset, day) for day in table.manifests}
    for path in folder.glob(f"{rollup_prefix(table.rolled_up or '')}*/*.parquet"):
        if path not in held:
            path.unlink(missing_ok=True)


def _path(local: Table, day: Day) -> Path:
    return Path(local.url(local.key(local.dataset, day)))


def _is_right(path: Path, sha256: str) -> bool:
    try:
        return hashlib.sha256(path.read_bytes()).hexdigest() == sha256
    except OSError:
        return False


def _fetch(
    connection: duckdb.DuckDBPyConnection,
    settings: Settings,
    table: Table,
    local: Table,
    missing: Iterable[Day],
) -> None:
    urls = {table.url(table.key(table.dataset, day)): day for day in table.manifests}
    wanted = set(missing)
    sizes = {url: table.manifests[day].bytes for url, day in urls.items() if day in wanted}
    with explained(settings.lake.root):
        for url, content in read_small(lambda: connection, sizes, urls):
            _require_right(url, content, table.manifests[urls[url]].sha256)
            write_cached(_path(local, urls[url]), content)


def _require_right(url: str, content: bytes, expected: str) -> None:
    digest = hashlib.sha256(content).hexdigest()
    if digest != expected:
        raise BadData(
            "a rollup is not the one that its manifest describes",
            where=url,
            expected=f"sha256 {expected}",
            found=f"sha256 {digest}",
            remedy="run the query again: the rollup may just have been replaced; if the error "
            "stays, `lake rollup --force` makes it again",
        )
