"""Copies one day of one dataset into the lake, and proves it, or leaves all as it was.

Belongs here: the order of the steps and the rules for what may be written.
Does not: how sources are asked, how Parquet is written, where objects lie.
"""

from __future__ import annotations

import logging
import tempfile
import time
from collections.abc import Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from threading import Event, Lock
from typing import Literal

import pyarrow as pa

from lake import __version__
from lake.base.datasets import Dataset
from lake.base.day import Day
from lake.base.errors import BadData, Incomplete, LakeError, PermanentError, UsageError
from lake.base.layout import manifest_key, table_key
from lake.base.manifest import Manifest, read_manifest, write_manifest
from lake.base.parquet import Written, write_parquet
from lake.base.scratch import explained_full_disk, read_back
from lake.base.settings import Settings
from lake.base.store import Store, open_store
from lake.base.table import TableStream, schema_to_json
from lake.sources import Count, Source, is_whole, open_source

_LOG = logging.getLogger(__name__)
_TRIES = 3  # reads of one day before a difference between rows and count is believed


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
    """What was there. `rows` is None where nothing tells."""

    manifest: Manifest | None = None
    there: bool = False
    rows: int | None = None
    told: str = ""


class _Differs(Incomplete):
    """The rows read and the source's count differ: to be believed when it stays so."""


def refuse_open_day(day: Day) -> None:
    """Raises UsageError for a day that is not over."""
    if not day.closed:
        raise UsageError(
            f"{day} is not over",
            expected=f"a UTC day before {Day.today()}",
            remedy="--open-day exports it all the same",
        )


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
        """One source a name, opened when first asked for."""
        with self._lock:
            if name not in self._sources:
                self._sources[name] = open_source(name, self.settings)
            return self._sources[name]

    def stop(self) -> None:
        """Exports that are running end at their next batch and leave all as it was."""
        self._stopping.set()

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
    ) -> Outcome:
        """Writes the partition unless it is there and still complete.

        A day inside the source's lateness window is counted again and rewritten if it
        grew. Raises LakeError, and then object and manifest are as they were before.
        """
        if not open_day:
            refuse_open_day(day)
        begun = time.monotonic()
        old = self._manifest(dataset, day, force=force)
        if old and not force:
            _refuse_other_definition(dataset, day, old)
            if not self._is_stale(dataset, day, old):
                return Outcome(dataset.name, day, "skipped", old, time.monotonic() - begun)
        before = self._before(dataset, day, old)
        for _ in range(_TRIES - 1):
            with suppress(_Differs):
                new = self._attempt(dataset, day, before, allow_shrink=allow_shrink)
                break
        else:
            new = self._attempt(dataset, day, before, allow_shrink=allow_shrink)
        state: Literal["rewritten", "exported"] = "rewritten" if old else "exported"
        return Outcome(dataset.name, day, state, new, time.monotonic() - begun)

    def _manifest(self, dataset: Dataset, day: Day, *, force: bool) -> Manifest | None:
        try:
            return read_manifest(self.store, dataset.name, day)
        except BadData:
            if force:
                return None  # what can't be read is replaced
            raise

    def _before(self, dataset: Dataset, day: Day, old: Manifest | None) -> _Before:
        """Without a manifest an object speaks for itself, as far as it can be read."""
        if old:
            return _Before(old, there=True, rows=old.rows, told=f"as exported {old.created_at}")
        key = table_key(dataset.name, day)
        if self.store.stat(key) is None:
            return _Before()
        rows = read_back(self.store, key).rows
        return _Before(there=True, rows=rows, told="as in the object that is there")

    def _is_stale(self, dataset: Dataset, day: Day, old: Manifest) -> bool:
        stat = self.store.stat(old.key)
        if stat is None or stat.bytes != old.bytes:
            return True  # lost or cut: the manifest's claim does not hold
        source = self.source(dataset.source)
        if day.days_until(Day.today()) > source.lateness_days:
            return False
        return source.count(dataset, day).rows > old.source_count

    def _attempt(
        self, dataset: Dataset, day: Day, before: _Before, *, allow_shrink: bool
    ) -> Manifest:
        """Streams the day into its object; an error before the end leaves the old one."""
        source, key = self.source(dataset.source), table_key(dataset.name, day)
        with (
            explained_full_disk(),
            tempfile.TemporaryDirectory(prefix="lake-") as scratch,
            source.read(dataset, day, Path(scratch)) as stream,
        ):
            with self.store.upload(key) as upload:
                batches = self._until_stopped(stream.batches)
                written = write_parquet(replace(stream, batches=batches), upload)
                count = source.count(dataset, day)
                self._check(dataset, day, written, count, before, allow_shrink=allow_shrink)
                manifest = _manifest_of(dataset, day, key, written, count, stream)
                manifest.to_bytes()  # fails here, if at all, and not with the object replaced
            self._claim(manifest, day, before)
        return manifest

    def _until_stopped(self, batches: Iterator[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
        for batch in batches:
            if self._stopping.is_set():
                raise PermanentError("stopped on request", remedy="run it again")
            yield batch

    def _claim(self, new: Manifest, day: Day, before: _Before) -> None:
        """The manifest goes last. Without it an object where none was has no claim to stay."""
        try:
            write_manifest(self.store, new)
        except BaseException:
            where = f"{new.dataset} {day}"
            if before.there:
                told = "old manifest" if before.manifest else "no manifest"
                _LOG.warning("%s: new object, %s: export it again", where, told)
                raise
            try:
                # It may have arrived all the same, with its answer lost.
                self.store.delete(manifest_key(new.dataset, day))
                self.store.delete(new.key)
            except LakeError as error:
                _LOG.warning("%s: an object without a manifest stays behind: %s", where, error)
            raise

    def _check(
        self,
        dataset: Dataset,
        day: Day,
        written: Written,
        count: Count,
        before: _Before,
        *,
        allow_shrink: bool,
    ) -> None:
        """What may not replace what is there. Raises Incomplete."""
        where = f"{dataset.name} {day}"
        low_is_fine = self.source(dataset.source).may_count_low
        if not is_whole(written.rows, count.rows, may_count_low=low_is_fine):
            raise _Differs(
                "the rows read are not those that the source counts",
                where=where,
                expected=f"{count.rows} rows ({count.method})",
                found=f"{written.rows} rows",
                remedy="try again; if it stays so, the source is losing or still taking rows",
            )
        if before.rows is not None and written.rows < before.rows and not allow_shrink:
            raise Incomplete(
                "the day has fewer rows than before",
                where=where,
                expected=f"at least {before.rows} rows, {before.told}",
                found=f"{written.rows} rows",
                remedy="if rows were deleted on purpose: --allow-shrink",
            )
        kept = getattr(self.settings.hot, dataset.source)
        if not written.rows and not allow_shrink and day.days_until(Day.today()) >= kept:
            raise Incomplete(
                "no rows from a day that the source no longer keeps whole",
                where=where,
                expected=f"a day of the last {kept} days ([hot] {dataset.source})",
                found="0 rows",
                remedy=f"raise [hot] {dataset.source} if the source keeps more, or --allow-shrink",
            )


def _refuse_other_definition(dataset: Dataset, day: Day, old: Manifest) -> None:
    """Raises PermanentError: rows of two definitions under one name would answer as one.

    A key that only one of both has is at its default in the other.
    """
    fields, now = type(dataset).model_fields, dataset.model_dump()
    defaults = {name: field.default for name, field in fields.items() if not field.is_required()}
    was, now = defaults | old.definition, defaults | now
    changed = sorted(name for name in was.keys() | now if was.get(name) != now.get(name))
    if old.definition and changed:
        raise PermanentError(
            "exported under another definition",
            where=f"{dataset.name} {day}",
            expected=", ".join(f"{name} = {now.get(name)!r}" for name in changed),
            found=", ".join(f"{name} = {was.get(name)!r}" for name in changed),
            remedy="--force exports it as it is defined now; or restore the definition",
        )


def _manifest_of(
    dataset: Dataset, day: Day, key: str, written: Written, count: Count, stream: TableStream
) -> Manifest:
    return Manifest(
        dataset=dataset.name,
        day=str(day),
        source=dataset.source,
        key=key,
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
        details=stream.details,
    )
