"""Exports one day of one dataset: read, count, compare, replace the partition and its rollup.

Belongs here: the order of the steps. Does not: which rows are refused (completeness), how object
and manifest are replaced (replacement), how sources are read, how Parquet is written.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from threading import Event, Lock
from typing import TYPE_CHECKING, Literal

from lake import __version__, audit
from lake.base.clock import utc_now
from lake.base.day import Day
from lake.base.errors import BadData, Conflict, LakeError, PermanentError, Stopped
from lake.completeness import (
    Differs,
    Least,
    complete_days,
    is_stale,
    require_no_loss,
    require_not_going,
    require_whole,
)
from lake.config.datasets import Dataset
from lake.config.settings import Settings
from lake.coverage import refuse_unfinished
from lake.erased import ErasedDays, erased_rows
from lake.holds import Hold, held_error
from lake.holds import of as holds_of
from lake.partition.definition import changed_keys, has_other_rules, refuse_other_definition
from lake.partition.layout import table_key
from lake.partition.ledger import Standing
from lake.partition.manifest import OPEN_DAY, Manifest
from lake.partition.read_back import read_back
from lake.partition.replacement import Etags, Replacement, settle
from lake.process.scratch import explained_full_disk, scratch_directory
from lake.retired import change_retired, read_retired
from lake.rollup.rollups import NONE, Rolled, Rollups
from lake.store import Store, Upload, open_store
from lake.systems.protocol import Source
from lake.systems.registry import open_source
from lake.systems.source import Count, accounted

if TYPE_CHECKING:  # a run that finds all days complete needs no Arrow: it is done in half the time
    import pyarrow as pa

    from lake.partition.parquet import Written
    from lake.partition.table import TableStream
    from lake.rollup.rollups import Beside

_LOG = logging.getLogger(__name__)
RESTORED = "erased day exported"  # in the audit log
_TRIES = 3  # reads of one day before a difference between rows and count is believed
_RACES = 3  # exports of one day before a replacement by other runs is an error


@dataclass(frozen=True)
class Outcome:
    """What became of one partition and its rollup. `seconds` is wall time."""

    dataset: str
    day: Day
    state: Literal["exported", "rewritten", "skipped"]
    manifest: Manifest
    seconds: float
    rollup: Rolled = NONE


@dataclass(frozen=True)
class _Rules:
    """The options of one export, and the day as of which it runs. See Exporter.export."""

    force: bool
    allow_shrink: bool
    recheck: bool
    today: Day
    allow_erased: bool = False
    hold: Hold | None = None


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
        self._rollups = Rollups(settings, self.store)
        self._erased = ErasedDays(settings, self.store)
        self._lock = Lock()
        self._stopping = Event()

    def source(self, name: str) -> Source:
        """One source per name, opened at its first use. Raises Stopped after `stop`."""
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
        allow_erased: bool = False,
        today: Day | None = None,
    ) -> Outcome:
        """Writes the partition unless it is there and still complete, as of `today`: by default the
        current day when the export begins.

        A day inside the source's lateness window is counted again and rewritten if it
        grew. One that shrank is left as it is, with `recheck` an error, and rewritten if it may
        shrink. Where another run replaces the partition meanwhile, the export starts again from
        what that run has written. Raises LakeError, and then object and manifest are as before.

        A day of which rows were erased is not written from its source, even by `force`, unless
        `allow_erased`: the source may still have them.

        A rollup that is missing or stale is made, from the partition where that is skipped; one
        that fails is in the outcome, with its error.
        """
        refuse_unfinished(day, open_day=open_day)
        rules = _Rules(force, allow_shrink, recheck, today or Day.today(), allow_erased)
        for _ in range(_RACES - 1):
            with suppress(Conflict):
                return self._export(dataset, day, rules)
        return self._export(dataset, day, rules)

    def complete(
        self, dataset: Dataset, days: Sequence[Day], today: Day | None = None
    ) -> dict[Day, Manifest]:
        """Those of the days that need no export, by the store alone. See complete_days."""
        complete = complete_days(self.settings, self.store, dataset, days, today)
        current = self._rollups.current(dataset, complete)
        return {day: manifest for day, manifest in complete.items() if day in current}

    def _export(self, dataset: Dataset, day: Day, rules: _Rules) -> Outcome:
        begun = time.monotonic()
        standing = settle(self.store, dataset.name, day)
        old = _readable(standing, force=rules.force)
        if old and not rules.force:
            refuse_other_definition(dataset, day, old)
            if not self._is_stale(dataset, day, old, rules):
                rolled = self._rollups.mend(dataset, day, old)
                seconds = time.monotonic() - begun
                return Outcome(dataset.name, day, "skipped", old, seconds, rolled)
        stat = self.store.stat(table_key(dataset.name, day))
        expected = Etags(stat.etag if stat else "", standing.etag)
        # After the object's etag: an erasure that is not seen here replaces the object later.
        erased_from = self._erased.of(dataset).get(day, "")
        erased = bool(erased_from)
        if erased and not rules.allow_erased:
            raise _erased_error(dataset, day, erased_from)
        hold = self._hold(dataset, day, old, expected)
        may_shrink = rules.allow_shrink and hold is None
        least = Least() if may_shrink else self._least(dataset, day, old, expected)
        rules = replace(rules, hold=hold)
        for attempt in range(1, _TRIES + 1):
            replacement = Replacement(self.store, dataset.name, day, expected, old)
            try:
                new, rolled = self._replace(
                    dataset, day, replacement, least, rules, old, erased=erased
                )
                break
            except Differs:
                if attempt == _TRIES:
                    raise
        if not old:
            self._not_retired(dataset, day)
        state: Literal["rewritten", "exported"] = "rewritten" if old else "exported"
        return Outcome(dataset.name, day, state, new, time.monotonic() - begun, rolled)

    def _not_retired(self, dataset: Dataset, day: Day) -> None:
        """If it is lost from now on, it is missing. Where that can't be recorded the next run of
        retention does it: the day itself is exported.
        """
        try:
            if day in read_retired(self.store).days(dataset.name):
                change_retired(self.store, {}, again={dataset.name: [day]})
        except LakeError as error:
            _LOG.warning("%s %s is still recorded as retired: %s", dataset.name, day, error.what)

    def _hold(
        self, dataset: Dataset, day: Day, old: Manifest | None, expected: Etags
    ) -> Hold | None:
        """The hold of a partition that is there. Raises PermanentError where another definition
        would replace it: rows or columns may be lost.
        """
        if not old and not expected.object:
            return None
        hold = holds_of(self.store, self.settings).blocking(dataset.name, day)
        if hold and old and (changed := changed_keys(dataset, old)):
            what = f"the day is held: it may not be replaced under another definition ({changed})"
            raise held_error(what.replace("'", ""), f"{dataset.name} {day}", hold)
        if hold and old and has_other_rules(dataset, old):
            what = "the day is held: it may not be replaced under other rules of its columns"
            raise held_error(what, f"{dataset.name} {day}", hold)
        return hold

    def _is_stale(self, dataset: Dataset, day: Day, old: Manifest, rules: _Rules) -> bool:
        stat = self.store.stat(old.key)
        if stat is None or stat.bytes != old.bytes:
            return True  # lost or cut: the manifest does not hold
        return is_stale(
            self.settings,
            self.source(dataset.source),
            dataset,
            day,
            old,
            allow_shrink=rules.allow_shrink,
            recheck=rules.recheck,
            today=rules.today,
        )

    def _least(self, dataset: Dataset, day: Day, old: Manifest | None, expected: Etags) -> Least:
        """By the manifest; without one by the object, as far as it can be read."""
        if old:
            return Least(old.rows, f"as exported {old.created_at}")
        if not expected.object:
            return Least()
        rows = read_back(self.store, table_key(dataset.name, day)).rows
        return Least(rows, "as in the object that is there")

    def _replace(
        self,
        dataset: Dataset,
        day: Day,
        replacement: Replacement,
        least: Least,
        rules: _Rules,
        old: Manifest | None,
        *,
        erased: bool,
    ) -> tuple[Manifest, Rolled]:
        """Streams the day into its object and its rollup, which is stored after it.

        An error before the end leaves the old object; one of the rollup alone is its outcome.
        """
        source = self.source(dataset.source)
        with self._rollups.beside(dataset, day) as beside:
            with (
                explained_full_disk(),
                scratch_directory() as scratch,
                source.read(dataset, day, scratch) as stream,
                replacement.upload() as upload,
            ):
                written, fingerprint = self._write(stream, upload, beside)
                count = source.count(dataset, day)
                require_whole(source, dataset, day, accounted(written.rows, stream.details), count)
                if rules.hold and least.rows is not None and written.rows < least.rows:
                    what = f"the day is held: {least.rows} rows may not become {written.rows}"
                    raise held_error(what, f"{dataset.name} {day}", rules.hold)
                require_not_going(self.settings, dataset, day, written.rows, old, rules.today)
                if not rules.allow_shrink:
                    require_no_loss(self.settings, source, dataset, day, written.rows, least)
                if erased and not erased_rows(stream.details):  # else they are the stored rows
                    why, details = "lake export --allow-erased", {"day": str(day)}
                    audit.append(self.store, RESTORED, dataset.name, why, details=details)
                replacement.announce(
                    _manifest_of(
                        dataset,
                        day,
                        written,
                        fingerprint,
                        count,
                        stream,
                        is_open=day >= rules.today,
                    )
                )
            manifest = replacement.commit()
            return manifest, beside.stored(manifest)

    def _write(self, stream: TableStream, upload: Upload, beside: Beside) -> tuple[Written, str]:
        """The Parquet file's numbers, and the fingerprint of its rows as they were read."""
        from lake.partition.fingerprint import Fingerprint  # noqa: PLC0415
        from lake.partition.parquet import write_parquet  # noqa: PLC0415

        seen = Fingerprint()
        batches = seen.watching(self._until_stopped(stream.batches))
        rolling = beside.watching(stream.schema, batches)
        return write_parquet(replace(stream, batches=rolling), upload), str(seen)

    def _until_stopped(self, batches: Iterator[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
        for batch in batches:
            if self._stopping.is_set():
                raise Stopped(remedy="run it again")
            yield batch


def _readable(standing: Standing, *, force: bool) -> Manifest | None:
    """The manifest that holds. Raises BadData where it can't be read and is not to be replaced."""
    if isinstance(standing.manifest, BadData):
        if not force:
            raise standing.manifest
        return None
    return standing.manifest


def _erased_error(dataset: Dataset, day: Day, erased_from: str) -> PermanentError:
    of_another = f" from dataset {erased_from}, which may have had the same rows"
    name = "" if erased_from == dataset.name else of_another
    return PermanentError(
        f"rows of the day were erased{name}: an export may bring them back",
        where=f"{dataset.name} {day}",
        expected="a day without a record below erasures/",
        found="what the source has now, which may still be those rows",
        remedy="delete them at the source; then --allow-erased exports the day again, and `lake "
        "erase` has to be run again if they are still there",
    )


def _manifest_of(
    dataset: Dataset,
    day: Day,
    written: Written,
    fingerprint: str,
    count: Count,
    stream: TableStream,
    *,
    is_open: bool,
) -> Manifest:
    from lake.partition.table import schema_to_json  # noqa: PLC0415

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
        created_at=utc_now().isoformat(timespec="milliseconds"),
        version=__version__,
        definition=dataset.model_dump(),
        details=stream.details | ({OPEN_DAY: True} if is_open else {}),
        fingerprint=fingerprint,
        rules=stream.rules,
    )
