"""Rollups of many days: which are current, making those that are not.

Belongs here: what a run over days needs, and that a failure of a rollup is never one of its
table. Does not: the steps (making, storing).
"""

from __future__ import annotations

import logging
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

from lake.base.day import Day
from lake.base.errors import LakeError, PermanentError, Stopped
from lake.config.datasets import Dataset
from lake.config.settings import Settings
from lake.partition.manifest import Manifest
from lake.partition.rollups import RollupManifest, read_rollup, read_rollups
from lake.process.scratch import explained_full_disk, scratch_directory
from lake.rollup.definition import AnyRollup, rollup_of
from lake.rollup.sql import SqlRollup
from lake.store import Store

if TYPE_CHECKING:
    import pyarrow as pa

    from lake.rollup.making import Made, Making

_LOG = logging.getLogger(__name__)


@dataclass(frozen=True)
class Rolled:
    """What became of one day's rollup.

    none: the dataset has no rollup · current: it is there and fits · made · overtaken: another
    run replaced the table meanwhile, and makes its rollup · failed: `error` is why; the table
    is not affected.
    """

    state: Literal["none", "current", "made", "overtaken", "failed"]
    manifest: RollupManifest | None = None
    error: LakeError | None = None

    def to_json(self) -> dict[str, Any]:
        """For `--json`."""
        described: dict[str, Any] = {"state": self.state}
        if self.manifest:
            described |= {"rows": self.manifest.rows, "bytes": self.manifest.bytes}
        if self.error:
            described["error"] = {"what": self.error.what, **self.error.parts}
        return described


NONE = Rolled("none")


class Rollups:
    """The rollups of a lake; safe to use from several threads."""

    def __init__(self, settings: Settings, store: Store) -> None:
        self._settings = settings
        self._store = store

    def of(self, dataset: Dataset) -> AnyRollup | None:
        """The dataset's rollup. Raises as `rollup_of`."""
        return rollup_of(self._settings, dataset)

    def current(self, dataset: Dataset, manifests: Mapping[Day, Manifest]) -> set[Day]:
        """The days of these partitions whose rollup needs nothing; all where there is none.

        Raises what the store raises, and as `rollup_of`.
        """
        rollup = self.of(dataset)
        if rollup is None or not manifests:
            return set(manifests)
        stored = read_rollups(self._store, dataset.name, manifests)
        return {
            day
            for day, stored_rollup in stored.items()
            if is_current(stored_rollup, manifests[day], rollup)
        }

    def mend(
        self, dataset: Dataset, day: Day, manifest: Manifest, *, force: bool = False
    ) -> Rolled:
        """Makes the rollup from the stored table unless it is current. Never raises LakeError."""
        with _kept() as kept:
            rollup = self.of(dataset)
            if rollup is None:
                return NONE
            stored = read_rollup(self._store, dataset.name, day)
            if not force and is_current(stored, manifest, rollup):
                assert isinstance(stored, RollupManifest)  # noqa: S101  it is current
                return Rolled("current", stored)
            from lake.rollup.making import from_table  # noqa: PLC0415

            with explained_full_disk(), scratch_directory() as scratch:
                return self._put(manifest, from_table(self._store, rollup, manifest, scratch))
        return kept.failed(dataset, day)

    @contextmanager
    def beside(self, dataset: Dataset, day: Day) -> Iterator[Beside]:
        """A rollup that is made while its table passes. Never raises LakeError of its own."""
        with ExitStack() as stack:
            yield Beside(self, dataset, day, stack)

    def _put(self, manifest: Manifest, made: Made) -> Rolled:
        from lake.rollup.storing import put  # noqa: PLC0415

        stored = put(self._store, manifest, made)
        return Rolled("made", stored) if stored else Rolled("overtaken")


class Beside:
    """One day's: `watching` the batches of its table, then `stored` when that has its manifest.

    What fails here is kept for the end; the batches go on.
    """

    def __init__(self, rollups: Rollups, dataset: Dataset, day: Day, stack: ExitStack) -> None:
        self._rollups = rollups
        self._dataset, self._day = dataset, day
        self._stack = stack
        self._making: Making | None = None
        self._kept = _Kept()

    def watching(
        self, schema: pa.Schema, batches: Iterator[pa.RecordBatch]
    ) -> Iterator[pa.RecordBatch]:
        """The same batches."""
        self._making = None
        with _kept(self._kept):
            rollup = self._rollups.of(self._dataset)
            if rollup is not None and not isinstance(rollup, SqlRollup):
                from lake.rollup.making import Making  # noqa: PLC0415

                scratch = self._stack.enter_context(scratch_directory())
                self._making = Making(rollup, schema, scratch)
        for batch in batches:
            if self._making and not self._kept.error:
                with _kept(self._kept), explained_full_disk():
                    self._making.add(batch)
            yield batch

    def stored(self, manifest: Manifest) -> Rolled:
        """Stores it, once its table is there."""
        from lake.rollup.making import require_all_rows  # noqa: PLC0415

        if self._making is None and not self._kept.error:
            return self._rollups.mend(self._dataset, self._day, manifest)
        if self._making and not self._kept.error:
            with _kept(self._kept), explained_full_disk():
                made = self._making.finish()
                require_all_rows(made, manifest)
                return self._rollups._put(manifest, made)
        return self._kept.failed(self._dataset, self._day)


def is_current(stored: object, manifest: Manifest, rollup: AnyRollup) -> bool:
    """Whether a rollup is of this table, by the rules of today."""
    return (
        isinstance(stored, RollupManifest)
        and stored.is_of(manifest)
        and stored.definition == rollup.shape.to_json()
    )


class _Kept:
    """Keeps an error for later instead of stopping the work beside it."""

    error: LakeError | None = None

    def failed(self, dataset: Dataset, day: Day) -> Rolled:
        """Raises Stopped; else the error as the outcome."""
        assert self.error is not None  # noqa: S101  else there is a rollup
        _LOG.debug("%s %s: no rollup: %s", dataset.name, day, self.error)
        return Rolled("failed", error=self.error)


@contextmanager
def _kept(kept: _Kept | None = None) -> Iterator[_Kept]:
    """Keeps any error but Stopped; an unforeseen one leaves its traceback in the log."""
    kept = kept or _Kept()
    try:
        yield kept
    except Stopped:
        raise
    except LakeError as error:
        kept.error = error
    except Exception as error:  # noqa: BLE001  the table must not fail with its rollup
        _LOG.error("unforeseen, in a rollup", exc_info=error)
        kept.error = PermanentError(
            "an unforeseen error in a rollup", found=f"{type(error).__name__}: {error}"
        )
