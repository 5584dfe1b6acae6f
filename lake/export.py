"""Copies one day of one dataset into the lake, and proves it, or leaves all as it was.

Belongs here: the order of the steps and the rules for what may be written.
Does not: how sources are asked, how Parquet is written, where objects lie.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from threading import Event, Lock
from typing import TYPE_CHECKING, Any, Literal

from lake import __version__
from lake.base.datasets import Dataset
from lake.base.day import Day
from lake.base.definition import changed_keys, refuse_other_definition
from lake.base.errors import (
    BadData,
    Conflict,
    Incomplete,
    LakeError,
    PermanentError,
    Stopped,
    TransientError,
)
from lake.base.layout import manifest_key, pending_key, table_key, table_prefix
from lake.base.manifest import (
    Manifest,
    Standing,
    read_ledger,
    settle,
    write_manifest,
    write_pending,
)
from lake.base.scratch import explained_full_disk, read_back, scratch_directory
from lake.base.settings import Settings
from lake.base.store import Store, open_store
from lake.coverage import refuse_unfinished
from lake.hot import hot_days
from lake.systems.protocol import Source
from lake.systems.registry import open_source
from lake.systems.source import Count, accounted, is_whole

if TYPE_CHECKING:  # a run that finds all days complete needs no Arrow: it is done in half the time
    import pyarrow as pa

    from lake.base.parquet import Written

_LOG = logging.getLogger(__name__)
_TRIES = 3  # reads of one day before a difference between rows and count is believed
_RACES = 3  # exports of one day before other runs' being faster is an error


@dataclass(frozen=True)
class Outcome:
    """What became of one partition. `seconds` is wall time."""

    dataset: str
    day: Day
    state: Literal["exported", "rewritten", "skipped"]
    manifest: Manifest
    seconds: float


@dataclass(frozen=True)
class _Before:
    """What was there: object and manifest by their etags, "" where there was none.

    `rows` is None where nothing tells, `manifest` where there is none that can be read.
    """

    object: str
    stored: str
    manifest: Manifest | None = None
    rows: int | None = None
    told: str = ""


@dataclass(frozen=True)
class _Rules:
    """What an export was asked to do. See Exporter.export."""

    force: bool
    allow_shrink: bool
    recheck: bool


class _Differs(Incomplete):
    """The rows read and the source's count differ: to be believed when it stays so."""


class Exporter:
    """Exports partitions; safe to use from several threads.

    The store and sources by name may be given; else they are opened from the settings.
    """

    def __init__(
        self,
        settings: Settings,
        store: Store | None = None,
        sources: Mapping[str, Source] | None = None,
    ) -> None:
        self.settings = settings
        self.store = store or open_store(settings)
        self._sources = dict(sources or {})
        self._lock = Lock()
        self._stopping = Event()

    def source(self, name: str) -> Source:
        """One source a name, opened when first asked for. Raises Stopped after `stop`."""
        with self._lock:
            if self._stopping.is_set():
                raise Stopped(remedy="run it again")
            if name not in self._sources:
                self._sources[name] = open_source(name, self.settings)
            return self._sources[name]

    def stop(self) -> None:
        """Exports that are running end at once and leave all as it was.

        Each source's requests are ended, too: one may hang for as long as its time-out.
        """
        self._stopping.set()
        with self._lock:
            sources = list(self._sources.values())
        for source in sources:
            source.stop()

    def close(self) -> None:
        """Ends the sources' connections."""
        for source in self._sources.values():
            source.close()

    def export(
        self,
        dataset: Dataset,
        day: Day,
        *,
        force: bool = False,
        open_day: bool = False,
        allow_shrink: bool = False,
        recheck: bool = False,
    ) -> Outcome:
        """Writes the partition unless it is there and still complete.

        A day inside the source's lateness window is counted again and rewritten if it
        grew. One that shrank is left as it is, with `recheck` an error, and rewritten if it may
        shrink. Another run of the same partition is noticed: what it has written is looked at
        anew. Raises LakeError, and then object and manifest are as they were before.
        """
        refuse_unfinished(day, open_day=open_day)
        rules = _Rules(force=force, allow_shrink=allow_shrink, recheck=recheck)
        for _ in range(_RACES - 1):
            with suppress(Conflict):
                return self._export(dataset, day, rules)
        return self._export(dataset, day, rules)

    def _export(self, dataset: Dataset, day: Day, rules: _Rules) -> Outcome:
        begun = time.monotonic()
        standing = settle(self.store, dataset.name, day)
        old = _readable(standing, force=rules.force)
        if old and not rules.force:
            refuse_other_definition(dataset, day, old)
            if not self._is_stale(dataset, day, old, rules):
                return Outcome(dataset.name, day, "skipped", old, time.monotonic() - begun)
        before = self._before(dataset, day, standing.etag, old)
        for _ in range(_TRIES - 1):
            with suppress(_Differs):
                new = self._attempt(dataset, day, before, allow_shrink=rules.allow_shrink)
                break
        else:
            new = self._attempt(dataset, day, before, allow_shrink=rules.allow_shrink)
        state: Literal["rewritten", "exported"] = "rewritten" if old else "exported"
        return Outcome(dataset.name, day, state, new, time.monotonic() - begun)

    def complete(self, dataset: Dataset, days: Sequence[Day]) -> dict[Day, Manifest]:
        """Those of the days that an export would skip without asking the source.

        Not those with a pending manifest: an export settles it. The store is asked for two
        listings and the days' manifests, whatever their number.
        """
        if getattr(self.settings.sources, dataset.source) is None or not days:
            return {}
        hot = hot_days(self.settings, dataset.source)
        around = min(days), max(days).plus(1)
        ledger = read_ledger(self.store, dataset.name, *around, settled=True)
        sizes = {one.key: one.bytes for one in self.store.list(table_prefix(dataset.name))}
        return {
            day: manifest
            for day in days
            if isinstance(manifest := ledger.get(day), Manifest)
            and not hot.may_grow(day)
            and sizes.get(manifest.key) == manifest.bytes
            and not changed_keys(dataset, manifest)
        }

    def _before(self, dataset: Dataset, day: Day, etag: str, old: Manifest | None) -> _Before:
        """Without a manifest an object speaks for itself, as far as it can be read."""
        key = table_key(dataset.name, day)
        stat = self.store.stat(key)
        found = stat.etag if stat else ""
        if old:
            return _Before(found, etag, old, old.rows, f"as exported {old.created_at}")
        if stat is None:
            return _Before(found, etag)
        rows = read_back(self.store, key).rows
        return _Before(found, etag, None, rows, "as in the object that is there")

    def _is_stale(self, dataset: Dataset, day: Day, old: Manifest, rules: _Rules) -> bool:
        stat = self.store.stat(old.key)
        if stat is None or stat.bytes != old.bytes:
            return True  # lost or cut: the manifest's claim does not hold
        source = self.source(dataset.source)
        lateness = source.lateness_days
        if not hot_days(self.settings, dataset.source, lateness_days=lateness).may_grow(day):
            return False
        count = source.count(dataset, day)
        if count.rows >= old.source_count or rules.allow_shrink:
            return count.rows != old.source_count
        if rules.recheck:
            raise Incomplete(
                "the source counts fewer rows than when the day was exported",
                where=f"{dataset.name} {day}",
                expected=f"at least {old.source_count} rows, as counted {old.created_at}",
                found=f"{count.rows} rows ({count.method})",
                remedy="if rows were deleted on purpose: --allow-shrink",
            )
        return False

    def _attempt(
        self, dataset: Dataset, day: Day, before: _Before, *, allow_shrink: bool
    ) -> Manifest:
        """Streams the day into its object; an error before the end leaves the old one."""
        from lake.base.fingerprint import Fingerprint  # noqa: PLC0415
        from lake.base.parquet import write_parquet  # noqa: PLC0415

        source, key = self.source(dataset.source), table_key(dataset.name, day)
        pending, announced = pending_key(dataset.name, day), False
        with (
            explained_full_disk(),
            scratch_directory() as scratch,
            source.read(dataset, day, scratch) as stream,
        ):
            try:
                with self.store.upload(key, before.object) as upload:
                    seen = Fingerprint()
                    batches = seen.watching(self._until_stopped(stream.batches))
                    written = write_parquet(replace(stream, batches=batches), upload)
                    count = source.count(dataset, day)
                    rows = accounted(written.rows, stream.details)
                    self._check_count(dataset, day, rows, count)
                    self._check(dataset, day, written, before, allow_shrink=allow_shrink)
                    manifest = _manifest_of(dataset, day, written, count, stream.details)
                    manifest = replace(
                        manifest,
                        fingerprint=str(seen),
                        history=before.manifest.as_history() if before.manifest else [],
                    )
                    manifest.to_bytes()  # fails here, if at all, and not with the object replaced
                    self._announce(pending, manifest)
                    announced = True
            except BaseException as error:
                if announced:
                    self._withdraw(key, pending, before.object, error)
                raise
        self._claim(manifest, pending, before, upload.etag)
        return manifest

    def _announce(self, pending: str, manifest: Manifest) -> None:
        try:
            write_pending(self.store, pending, manifest)
        except BaseException:
            self._remove(pending)  # it may have arrived all the same
            raise

    def _withdraw(self, key: str, pending: str, replaced: str, error: BaseException) -> None:
        """Without the object's being replaced the pending manifest goes. Where that may have
        happened it stays: an answer was lost, an interrupt came meanwhile, a step behind it failed.
        """
        if isinstance(error, Conflict) or (
            isinstance(error, PermanentError) and self._has_etag(key, replaced)
        ):
            self._remove(pending)
        else:
            _LOG.warning("%s stays: it is not known whether the object was replaced", pending)

    def _has_etag(self, key: str, etag: str) -> bool:
        """Whether that is the object in this place; "" where none is to be. No if unknown."""
        try:
            stat = self.store.stat(key)
        except LakeError as error:
            _LOG.debug("not looked at: %s", error)
            return False
        return (stat.etag if stat else "") == etag

    def _remove(self, pending: str) -> None:
        """What goes wrong here hides no other error: what is left says nothing wrong."""
        try:
            self.store.delete(pending)
        except LakeError as error:
            _LOG.warning("%s stays behind: %s", pending, error)

    def _until_stopped(self, batches: Iterator[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
        for batch in batches:
            if self._stopping.is_set():
                raise Stopped(remedy="run it again")
            yield batch

    def _claim(self, new: Manifest, pending: str, before: _Before, etag: str) -> None:
        """The manifest goes last. Where it can't be written, the pending one speaks for a
        replaced object; one that is new goes, as if nothing had been.

        Raises Conflict where another run has replaced the object since.
        """
        try:
            self._write_manifest(new, before.stored, etag)
        except Conflict:
            self._remove(pending)
            raise
        except BaseException:
            where = f"{new.dataset} {new.day}"
            if before.object:
                _LOG.warning("%s: new object, its manifest is pending: export it again", where)
                raise
            if not self._has_etag(new.key, etag):
                raise  # another run's by now, or not known: what stays speaks for itself
            try:
                # It may have arrived all the same, with its answer lost.
                self.store.delete(manifest_key(new.dataset, Day.parse(new.day)))
                self.store.delete(new.key)
                self.store.delete(pending)
            except LakeError as error:
                _LOG.warning("%s: an object without a manifest stays behind: %s", where, error)
            raise
        self._remove(pending)

    def _write_manifest(self, new: Manifest, replaces: str, etag: str) -> None:
        """As long as the object is ours the manifest is ours to write, whoever wrote it since."""
        key = manifest_key(new.dataset, Day.parse(new.day))
        for _ in range(_RACES):
            with suppress(Conflict):
                write_manifest(self.store, new, replaces)
                return
            stat, found = self.store.stat(key), self.store.stat(new.key)
            if found is None or found.etag != etag:
                break
            replaces = stat.etag if stat else ""
        raise Conflict("another run has replaced the object", where=self.store.url(new.key))

    def _check_count(self, dataset: Dataset, day: Day, rows: int, count: Count) -> None:
        """Raises Incomplete where the rows are not all that the source counts."""
        low_is_fine = self.source(dataset.source).may_count_low
        if not is_whole(rows, count.rows, may_count_low=low_is_fine):
            raise _Differs(
                "the rows read are not those that the source counts",
                where=f"{dataset.name} {day}",
                expected=f"{count.rows} rows ({count.method})",
                found=f"{rows} rows",
                remedy="try again; if it stays so, the source is losing or still taking rows",
            )

    def _check(
        self, dataset: Dataset, day: Day, written: Written, before: _Before, *, allow_shrink: bool
    ) -> None:
        """What may not replace what is there. Raises Incomplete."""
        where = f"{dataset.name} {day}"
        if before.rows is not None and written.rows < before.rows and not allow_shrink:
            raise Incomplete(
                "the day has fewer rows than before",
                where=where,
                expected=f"at least {before.rows} rows, {before.told}",
                found=f"{written.rows} rows",
                remedy="if rows were deleted on purpose: --allow-shrink",
            )
        if written.rows or allow_shrink:
            return
        if unseen := self.source(dataset.source).unseen(dataset, day):
            raise TransientError(
                "the day is late: the source lists streams of it, but returns no rows of them yet",
                where=where,
                expected="rows of the listed streams, or no stream",
                found=f"{unseen} {'stream' if unseen == 1 else 'streams'} without rows",
                remedy="export the day again later: Loki returns lines of past days after it has "
                "flushed their chunks (at once by `POST /flush`) and read its index again, once "
                "a minute. If the streams have no lines of this day, --allow-shrink exports it "
                "as empty",
            )
        hot = hot_days(self.settings, dataset.source)
        if not hot.keeps(day):
            raise Incomplete(
                "no rows from a day that the source no longer keeps whole",
                where=where,
                expected=f"a day of the last {hot.kept_days} days ([hot] {dataset.source})",
                found="0 rows",
                remedy=f"raise [hot] {dataset.source} if the source keeps more, or --allow-shrink",
            )


def _readable(standing: Standing, *, force: bool) -> Manifest | None:
    """The manifest that holds. Raises BadData where it can't be read and is not to be replaced."""
    if isinstance(standing.manifest, BadData):
        if not force:
            raise standing.manifest
        return None
    return standing.manifest


def _manifest_of(
    dataset: Dataset, day: Day, written: Written, count: Count, details: dict[str, Any]
) -> Manifest:
    from lake.base.table import schema_to_json  # noqa: PLC0415

    return Manifest(
        dataset=dataset.name,
        day=str(day),
        source=dataset.source,
        key=table_key(dataset.name, day),
        rows=written.rows,
        bytes=written.bytes,
        sha256=written.sha256,
        source_count=count.rows,
        count_method=count.method,
        window={"start": day.start.isoformat(), "end": day.end.isoformat()},
        schema=schema_to_json(written.schema),
        created_at=datetime.now(UTC).isoformat(timespec="milliseconds"),
        version=__version__,
        definition=dataset.model_dump(),
        details=details,
    )
