"""Loki: its directory, its configuration, and its bucket where it stores in S3.

Belongs here: which files, in which order, and what was not flushed yet.
Does not: how files travel (collecting), names in S3 (loki_s3).

The order WAL, active index, index, chunks: a reference that was copied before its chunk
resolves, for the chunk was there already. Chunks are written in place, so those that
changed while they were copied are copied again.
"""

from __future__ import annotations

import logging
import re
import time
from collections.abc import Iterator
from datetime import UTC, datetime
from functools import partial
from pathlib import Path, PurePosixPath
from typing import Any

from lake.base.datasets import LokiDataset
from lake.base.day import Day
from lake.base.errors import LakeError, PermanentError
from lake.base.settings import LokiSource, Settings
from lake.snapshots.collecting import Collector
from lake.snapshots.disk_state import STATE, Counting, disk_state
from lake.snapshots.face import Taken, everything_until
from lake.snapshots.loki_config import LokiPlaces, places, read_config, without_secrets
from lake.snapshots.loki_s3 import bucket_stores, objects
from lake.sources import open_source
from lake.sources.http import Http

_LOG = logging.getLogger(__name__)
CONFIG = "source-config.yml"
ALL_STREAMS = LokiDataset(name="all", source="loki", selector="{}")
_FLUSHED_WITHIN_S = 15.0
_LOOK_S = 0.25
_PASSES = 5  # over files that changed while they were copied
_WAL, _ACTIVE, _INDEX, _OTHER, _CHUNKS = range(5)  # the order of copying
_DATA = PurePosixPath("data")


class LokiSnapshotter:
    """See Snapshotter. Loki's directory has to be on a disk that is seen from here."""

    _places: LokiPlaces

    def __init__(self, settings: Settings) -> None:
        section = settings.sources.loki
        assert isinstance(section, LokiSource)  # noqa: S101  open_snapshotter looked
        self._http = Http(section, "loki")
        self._settings = settings
        self._tenant = section.tenant
        self._data_dir = Path(settings.snapshots.loki.data_dir)
        self._config = Path(settings.snapshots.loki.config_file)

    def take(self, day: Day, into: Collector) -> Taken:
        """See Snapshotter."""
        build = self._http.get("/loki/api/v1/status/buildinfo").json()
        window = everything_until(datetime.now(UTC))
        self._require_disk()
        config = read_config(self._config)
        self._places = places(config, self._data_dir, self._config)
        last = into.known.newest
        counting = Counting(
            "day_lines",
            day,
            last if last and last.details.get("tenant") == self._tenant else None,
            lambda: self._state(config),
            lambda: self._lines(day),
        )
        # Nothing was written since the last one, which has flushed.
        unflushed = self._metric("memory_chunks") if counting.unchanged else self._flush()
        counting.begin()
        own = self._config.read_text("utf-8")
        into.content(without_secrets(own).encode(), CONFIG)
        copied = self._copy(into)
        if self._places.s3 is not None:
            copied += self._copy_bucket(self._places.s3, into)
        counts = {"files": copied, **counting.counts()}
        details = {
            # In memory and in the WAL, whose copy is a part of the snapshot.
            "chunks_in_memory": unflushed,
            "data_dir": str(self._data_dir),
            "tenant": self._tenant,
            "stored_in": "s3" if self._places.s3 is not None else "filesystem",
            STATE: counting.state,
        }
        server = {"name": "Loki", "version": str(build["version"])}
        return Taken(server, window, counts, details)

    def close(self) -> None:
        """See Snapshotter."""
        self._http.close()

    def _state(self, config: dict[str, Any]) -> str:
        """Without a log on the disk nothing tells what is in memory: no state is like another."""
        wal = (config.get("ingester") or {}).get("wal") or {}
        own = [] if wal.get("enabled", True) else [(Path(), (0, time.time_ns()))]
        return disk_state([*self._files(), *own])

    def _require_disk(self) -> None:
        for path, key in ((self._data_dir, "data_dir"), (self._config, "config_file")):
            if not path.exists():
                raise PermanentError(
                    "Loki's files are not on this machine's disks",
                    where=path,
                    found="no such file or directory",
                    remedy=f"set [snapshots.loki] {key}; for a remote server run this command "
                    "on its host, or mount its volume",
                )

    def _lines(self, day: Day) -> int:
        source = open_source("loki", self._settings)
        try:
            return source.count(ALL_STREAMS, day).rows
        finally:
            source.close()

    def _flush(self) -> int | None:
        """Asks for it and waits a while; chunks still in memory, None where nothing tells."""
        try:
            self._http.post("/flush", attempts=1)
        except LakeError as error:
            _LOG.warning("Loki was not flushed, its WAL has what is missing: %s", error)
        end = time.monotonic() + _FLUSHED_WITHIN_S
        time.sleep(2 * _LOOK_S)  # until they have been queued
        while self._metric("flush_queue_length") and time.monotonic() < end:
            time.sleep(_LOOK_S)
        return self._metric("memory_chunks")

    def _metric(self, name: str) -> int | None:
        """Of its ingester, summed."""
        try:
            text = self._http.get("/metrics", attempts=1).content.decode()
        except LakeError as error:
            _LOG.warning("Loki's own metrics can't be read: %s", error)
            return None
        found = re.findall(rf"(?m)^loki_ingester_{name}(?:\{{[^}}]*\}})? (\S+)$", text)
        return int(sum(map(float, found))) if found else None

    def _copy(self, into: Collector) -> int:
        done: dict[Path, tuple[int, int]] = {}
        for _ in range(_PASSES):
            changed = [(path, mark) for path, mark in self._files() if done.get(path) != mark]
            if not changed:
                break
            rank = None
            for path, mark in changed:
                if rank is not None and rank != self._rank(path):
                    into.wait()  # one kind after the other
                rank = self._rank(path)
                done[path] = mark
                self._file(path, mark[0], into)
            into.wait()
        return len(done)

    def _file(self, path: Path, size: int, into: Collector) -> None:
        name = (_DATA / self._restored(path)).as_posix()
        stored = into.known.files.get(name)
        # A chunk's name has its checksum: of the same size it is the same.
        if stored and self._rank(path) == _CHUNKS and sum(p.bytes for p in stored) == size:
            into.adopt(name, stored)
        else:
            into.file(path, name, pack=True)

    def _copy_bucket(self, section: dict[str, Any], into: Collector) -> int:
        """Index first: what it refers to was there before it. New objects only."""
        found, was_chunk = list(objects(bucket_stores(section, self._config))), False
        for one in found:
            if one.is_chunk and not was_chunk:
                into.wait()
            was_chunk = one.is_chunk
            name = (_DATA / self._places.chunks / one.name).as_posix()
            stored = into.known.files.get(name)
            if one.is_chunk and stored and sum(p.bytes for p in stored) == one.stat.bytes:
                into.adopt(name, stored)
            else:
                into.fetched(partial(one.store.chunks, one.stat.key), one.stat.bytes, name)
        into.wait()
        return len(found)

    def _restored(self, path: Path) -> PurePosixPath:
        """Its name in a data directory whose Loki stores in the file system."""
        name = PurePosixPath(path.relative_to(self._data_dir).as_posix())
        if self._places.s3 is None or not any(map(name.is_relative_to, self._places.active)):
            return name
        periods = self._places.periods
        renamed = {f"{store}_{start}": f"filesystem_{start}" for store, start in periods}
        return PurePosixPath(*(renamed.get(part, part) for part in name.parts))

    def _files(self) -> Iterator[tuple[Path, tuple[int, int]]]:
        """Each file with its size and time of change, in the order of copying."""
        files = (path for path in self._data_dir.rglob("*") if path.is_file())
        ranked = ((self._rank(path), path) for path in files)
        for _, path in sorted((rank, path) for rank, path in ranked if rank is not None):
            try:
                stat = path.stat()
            except FileNotFoundError:
                continue  # flushed and gone: what it held is in a later file
            yield path, (stat.st_size, stat.st_mtime_ns)

    def _rank(self, path: Path) -> int | None:
        """When its turn is; None for what is not kept: caches, what is being written."""
        name = PurePosixPath(path.relative_to(self._data_dir).as_posix())
        if name.is_relative_to(self._places.chunks):
            return _INDEX if name.parts[len(self._places.chunks.parts)] == "index" else _CHUNKS
        if any(map(name.is_relative_to, self._places.caches)):
            return None
        if any(part.endswith(".tmp") for part in name.parts):
            return None
        if name.is_relative_to(self._places.wal):
            return _WAL
        return _ACTIVE if any(map(name.is_relative_to, self._places.active)) else _OTHER
