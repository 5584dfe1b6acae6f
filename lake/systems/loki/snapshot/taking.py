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
from collections.abc import Iterator, Mapping
from datetime import datetime
from functools import partial
from pathlib import Path, PurePosixPath
from typing import Any

import yaml

from lake.base.clock import utc_now
from lake.base.day import Day
from lake.base.errors import Incomplete, LakeError, PermanentError
from lake.config.settings import Settings
from lake.http.client import Http
from lake.snapshots.collecting import Collector
from lake.snapshots.disk_state import STATE, Counting, disk_state
from lake.snapshots.manifest import UNACCOUNTED, UNREADABLE
from lake.snapshots.server_files import files_below
from lake.snapshots.standalone import RESTORED_DATA, STANDALONE
from lake.snapshots.taken import Taken, everything_until
from lake.snapshots.whole_days import days_of_chunks
from lake.store import ObjectStat
from lake.systems.loki.config import LokiDataset, LokiSource
from lake.systems.loki.reading.version import Version, reported_version
from lake.systems.loki.snapshot.account import ChunkFile, InBucket, LinesInChunks, OnDisk
from lake.systems.loki.snapshot.chunks import ChunkName, parsed
from lake.systems.loki.snapshot.config import (
    LokiPlaces,
    places,
    read_config,
    running_config,
    without_secrets,
)
from lake.systems.loki.snapshot.restored import CONFIG, LAYOUT, standalone_config, version_of
from lake.systems.loki.snapshot.retention import kept_for
from lake.systems.loki.snapshot.s3 import LokiObject, bucket_stores, objects
from lake.systems.registry import open_source

_LOG = logging.getLogger(__name__)
ALL_STREAMS = LokiDataset(name="all", source="loki", selector="{}")
_ONLY_TENANT = "fake"  # what Loki calls it where there are none
_COUNTS_WHAT_IS_FLUSHED = (3, 0)  # the lowest version that does so at once
_FLUSHED_WITHIN_S = 15.0
_LOOK_S = 0.25
_PASSES = 5  # over files that changed while they were copied
_WAL, _ACTIVE, _INDEX, _OTHER, _CHUNKS = range(5)  # the order of copying
_DATA = PurePosixPath("data")


class LokiSnapshotter:
    """See Snapshotter. Loki's directory has to be on a disk that is seen from here."""

    _places: LokiPlaces
    _can_flush = True
    _chunks: dict[str, ChunkFile]  # all that were copied, by their names in the snapshot

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
        version = reported_version(self._http)
        taken = utc_now()
        self._require_disk()
        written = read_config(self._config)
        running = running_config(self._page("/config")) or written
        self._places = places(running, self._data_dir, self._config, written)
        last = into.known.newest
        counting = Counting(
            "day_lines",
            day,
            last if last and last.details.get("tenant") == self._tenant else None,
            self._state,
            lambda: self._lines(day),
        )
        # Before 3.0 lines that were flushed may be in no count for up to a minute.
        count_first = counts_late(version)
        if count_first:
            counting.begin()
        # Nothing was written since the last one, which has flushed.
        unflushed = self._metric("memory_chunks") if counting.unchanged else self._flush()
        if not count_first:
            counting.begin()
        into.content(without_secrets(self._config.read_text("utf-8")).encode(), CONFIG)
        copied = self._copy_all(into)
        unaccounted = self._account_for(day, counting.before, into)
        counts = {"files": copied, **counting.counts()}
        details = {
            # In memory and in the WAL, whose copy is a part of the snapshot.
            "chunks_in_memory": unflushed,
            "data_dir": str(self._data_dir),
            "tenant": self._tenant,
            "stored_in": "s3" if self._places.s3 is not None else "filesystem",
            **unaccounted,
            LAYOUT: self._places.to_json(),
            # For a restore without this package, which can't read the source's YAML.
            STANDALONE: standalone_config(self._places, RESTORED_DATA, version_of(str(version))),
            STATE: counting.state,
        }
        server = {"name": "Loki", "version": str(version)}
        whole = self._whole_days(running, taken)
        if UNREADABLE in details and UNACCOUNTED in details:
            whole = [whole_day for whole_day in whole if whole_day != day]
        return Taken(server, everything_until(taken), counts, details, whole)

    def close(self) -> None:
        """See Snapshotter."""
        self._http.close()

    def _page(self, path: str) -> str:
        """One of Loki's own pages; '' where there is none, or a gateway hides it."""
        try:
            return self._http.get(path, attempts=2).content.decode("utf-8", "replace")
        except LakeError as error:
            _LOG.info("Loki's %s can't be read: %s", path, error)
            return ""

    @property
    def _tenants(self) -> frozenset[str]:
        return frozenset(self._tenant.split("|") if self._places.multi_tenant else [_ONLY_TENANT])

    def _whole_days(self, running: Mapping[str, Any], taken: datetime) -> list[Day]:
        try:
            overrides = yaml.safe_load(self._page("/runtime_config"))
        except yaml.YAMLError:
            overrides = None
        kept = kept_for(running, overrides, self._tenants)
        own = (chunk.name for chunk in self._chunks.values() if chunk.name.tenant in self._tenants)
        spans = ((chunk.start_ms, chunk.end_ms) for chunk in own)
        return days_of_chunks(spans, taken, kept, copied=utc_now())

    def _account_for(self, day: Day, counted: int, into: Collector) -> dict[str, int]:
        """Details: the most lines that the copied chunks hold of the day, and what is not proved.

        Raises Incomplete where lines that were counted are in none of them and no more arrive.
        Where Loki refuses to flush they may be in its WAL, which is a part of the snapshot.
        """
        lines = LinesInChunks(self._tenants)
        most, deadline = -1, 0.0
        while (held := lines.of(day, self._chunks.values())) < counted:
            missing = f"{counted - held} lines of {day}"
            if not self._can_flush and self._places.wal is not None:
                _LOG.warning("%s may be in Loki's WAL only", missing)
                break
            if held > most:  # it is still flushing
                most, deadline = held, time.monotonic() + _FLUSHED_WITHIN_S
            if time.monotonic() > deadline:
                if lines.unreadable:  # they are in the snapshot, but nothing proves their lines
                    break
                raise self._unaccounted(day, counted, held)
            self._flush()  # what came after the first one
            self._copy_all(into)
        # Of that day; those of several replicas count each.
        details = {"lines_in_chunks": held}
        if held < counted:
            details[UNACCOUNTED] = counted - held
        if lines.unreadable:
            details[UNREADABLE] = lines.unreadable
            _LOG.warning("chunks of %s that can't be read: %s", day, lines.unreadable)
        return details

    def _unaccounted(self, day: Day, counted: int, held: int) -> Incomplete:
        places = self._places
        where = str(self._data_dir / (places.own_chunks or places.chunks))
        return Incomplete(
            "Loki's chunks do not account for the lines that it counted",
            where=f"bucket {places.s3.get('bucketnames')}" if places.s3 is not None else where,
            expected=f"{counted} lines of {day}",
            found=f"{held} lines of {day} in {len(self._chunks)} chunks",
            remedy="set [snapshots.loki] config_file to the configuration that this Loki runs "
            "with, and data_dir to its data directory; if it was not flushed, see the log",
        )

    def _state(self) -> str:
        """Without a log on the disk the content of memory is unknown: no state is like another."""
        own = [(Path(), (0, time.time_ns()))] if self._places.wal is None else []
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
        """Requests it and waits a while; chunks still in memory, None where that is unknown."""
        try:
            self._http.post("/flush", attempts=1)
        except LakeError as error:
            self._can_flush = False
            _LOG.warning("Loki was not flushed, its WAL has what is missing: %s", error)
        end = time.monotonic() + _FLUSHED_WITHIN_S
        time.sleep(2 * _LOOK_S)  # until they have been queued
        while self._metric("flush_queue_length") and time.monotonic() < end:
            time.sleep(_LOOK_S)
        return self._metric("memory_chunks")

    def _metric(self, name: str) -> int | None:
        """Of its ingester, summed."""
        text = self._page("/metrics")
        values = re.findall(rf"(?m)^loki_ingester_{name}(?:\{{[^}}]*\}})? (\S+)$", text)
        return int(sum(map(float, values))) if values else None

    def _copy_all(self, into: Collector) -> int:
        self._chunks = {}
        copied = self._copy(into)
        if self._places.s3 is not None:
            copied += self._copy_bucket(self._places.s3, into)
        return copied

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
            for name in into.vanished:  # removed by retention, or replaced by a later file
                self._chunks.pop(name, None)
        return sum(self._copied_as(path) not in into.vanished for path in done)

    def _copied_as(self, path: Path) -> str:
        return (_DATA / self._restored(path)).as_posix()

    def _file(self, path: Path, size: int, into: Collector) -> None:
        name = self._copied_as(path)
        stored = into.known.files.get(name)
        chunk = self._chunk(path)
        if chunk is not None:
            self._chunks[name] = OnDisk(chunk, path)
        # A chunk's name has its checksum: of the same size it is the same.
        if stored and chunk is not None and sum(p.bytes for p in stored) == size:
            into.adopt(name, stored)
        else:
            into.file(path, name, pack=True, may_vanish=True)

    def _copy_bucket(self, section: Mapping[str, Any], into: Collector) -> int:
        """Index first: what it refers to was there before it. New objects only.

        Loki compacts its index: of what goes away meanwhile the successor is in a new listing.
        """
        stores, copied = bucket_stores(section, self._config), dict[str, ObjectStat]()
        for _ in range(_PASSES):
            items = {self._stored_as(item): item for item in objects(stores)}
            left = {name: item for name, item in items.items() if copied.get(name) != item.stat}
            was_chunk = False
            for name, item in left.items():
                if item.is_chunk and not was_chunk:
                    into.wait()
                was_chunk = item.is_chunk
                self._object(name, item, into)
            into.wait()
            copied |= {name: item.stat for name, item in left.items()}
            gone = copied.keys() & into.vanished
            if not gone:
                break
            for name in gone:
                del copied[name]
                self._chunks.pop(name, None)
        return len(copied)

    def _stored_as(self, item: LokiObject) -> str:
        return (_DATA / self._places.chunks / item.name).as_posix()

    def _object(self, name: str, item: LokiObject, into: Collector) -> None:
        stored = into.known.files.get(name)
        chunk = parsed(item.name) if item.is_chunk else None
        if chunk is not None:
            self._chunks[name] = InBucket(chunk, item.store, item.stat.key, item.stat.bytes)
        if item.is_chunk and stored and sum(p.bytes for p in stored) == item.stat.bytes:
            into.adopt(name, stored)
        else:
            into.fetched(partial(item.store.chunks, item.stat.key), item.stat.bytes, name)

    def _restored(self, path: Path) -> PurePosixPath:
        """Its name in a data directory whose Loki stores in the file system."""
        name, own = self._name(path), self._places.own_chunks
        if own is not None and name.is_relative_to(own):
            return self._places.chunks / name.relative_to(own)
        active = self._places.active.values()
        if self._places.s3 is None or not any(map(name.is_relative_to, active)):
            return name
        periods = self._places.periods
        renamed = {f"{p['object_store']}_{p['from']}": f"filesystem_{p['from']}" for p in periods}
        return PurePosixPath(*(renamed.get(part, part) for part in name.parts))

    def _name(self, path: Path) -> PurePosixPath:
        return PurePosixPath(path.relative_to(self._data_dir).as_posix())

    def _chunk(self, path: Path) -> ChunkName | None:
        name, own = self._name(path), self._places.own_chunks
        inside = own is not None and name.is_relative_to(own)
        return parsed(name.relative_to(own).as_posix()) if inside and own is not None else None

    def _files(self) -> Iterator[tuple[Path, tuple[int, int]]]:
        """Each file with its size and time of change, in the order of copying."""
        own, config = self._places, self._config.stat()
        used = [own.own_chunks, own.wal, *own.active.values()]
        below = files_below(self._data_dir, [self._data_dir / path for path in used if path])
        ranked = ((self._rank(path), path) for path in below)
        for _, path in sorted((rank, path) for rank, path in ranked if rank is not None):
            try:
                stat = path.stat()
            except FileNotFoundError:
                continue  # flushed and gone: what it held is in a later file
            if (stat.st_dev, stat.st_ino) == (config.st_dev, config.st_ino):
                continue  # it is taken without its secrets
            yield path, (stat.st_size, stat.st_mtime_ns)

    def _rank(self, path: Path) -> int | None:
        """When its turn is; None for what is not kept: caches, what is being written."""
        name, places = self._name(path), self._places
        if places.own_chunks is not None and name.is_relative_to(places.own_chunks):
            return _INDEX if self._chunk(path) is None else _CHUNKS
        if any(map(name.is_relative_to, places.caches)):
            return None
        if any(part.endswith(".tmp") for part in name.parts):
            return None
        if places.wal is not None and name.is_relative_to(places.wal):
            return _WAL
        return _ACTIVE if any(map(name.is_relative_to, places.active.values())) else _OTHER


def counts_late(version: Version) -> bool:
    """Whether lines that are being flushed may be in no count; an unknown version counts as old."""
    return version.numbers is None or version.numbers < _COUNTS_WHAT_IS_FLUSHED
