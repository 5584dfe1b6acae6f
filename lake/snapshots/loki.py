"""Loki on a file system: its directory and its configuration.

Belongs here: which files, in which order, and what was not flushed yet.
Does not: how files travel (collecting).

The order WAL, active index, index, chunks: a reference that was copied before its chunk
resolves, for the chunk was there already. Chunks are written in place, so those that
changed while they were copied are copied again.
"""

from __future__ import annotations

import logging
import re
import time
from collections.abc import Iterator
from pathlib import Path

from lake.base.datasets import LokiDataset
from lake.base.day import Day
from lake.base.errors import LakeError, PermanentError
from lake.base.settings import LokiSource, Settings
from lake.snapshots.collecting import Collector
from lake.snapshots.face import Taken
from lake.sources import open_source
from lake.sources.http import Http

_LOG = logging.getLogger(__name__)
CONFIG = "source-config.yml"
ALL_STREAMS = LokiDataset(name="all", source="loki", selector="{}")
_FLUSHED_WITHIN_S = 15.0
_LOOK_S = 0.25
_PASSES = 5  # over files that changed while they were copied
# The first part of a path, or what it contains, in the order of copying; chunks go last.
_ORDER = ("wal", "active", "index", "compactor", "")
_NOT_KEPT = ("cache", ".part", ".tmp", ".lock")


class LokiSnapshotter:
    """See Snapshotter. Loki's directory has to be on a disk that is seen from here."""

    def __init__(self, settings: Settings) -> None:
        section = settings.sources.loki
        assert isinstance(section, LokiSource)  # noqa: S101  open_snapshotter looked
        self._http = Http(section, "loki")
        self._settings = settings
        self._data_dir = Path(settings.snapshots.loki.data_dir)
        self._config = Path(settings.snapshots.loki.config_file)

    def take(self, day: Day, into: Collector) -> Taken:
        """See Snapshotter."""
        build = self._http.get("/loki/api/v1/status/buildinfo").json()
        self._require_disk()
        unflushed = self._flush()
        into.file(self._config, CONFIG)
        copied = self._copy(into)
        return Taken(
            {"name": "Loki", "version": str(build["version"])},
            {"start": None, "end": None},
            {"files": copied, "day_lines": self._lines(day)},
            # In memory and in the WAL, whose copy is a part of the snapshot.
            {"chunks_in_memory": unflushed, "data_dir": str(self._data_dir)},
        )

    def close(self) -> None:
        """See Snapshotter."""
        self._http.close()

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
                self._file(path, into)
            into.wait()
        return len(done)

    def _file(self, path: Path, into: Collector) -> None:
        name = path.relative_to(self._data_dir).as_posix()
        into.file(path, f"data/{name}", pack=True)

    def _files(self) -> Iterator[tuple[Path, tuple[int, int]]]:
        """Each file with its size and time of change, in the order of copying."""
        found = (path for path in self._data_dir.rglob("*") if path.is_file())
        for path in sorted(found, key=lambda path: (self._rank(path), path)):
            name = path.relative_to(self._data_dir).as_posix()
            if any(part in name for part in _NOT_KEPT):
                continue
            try:
                stat = path.stat()
            except FileNotFoundError:
                continue  # flushed and gone: what it held is in a later file
            yield path, (stat.st_size, stat.st_mtime_ns)

    def _rank(self, path: Path) -> int:
        name = path.relative_to(self._data_dir).as_posix()
        ranks = [rank for rank, part in enumerate(_ORDER) if part and part in name]
        return ranks[0] if ranks else len(_ORDER)
