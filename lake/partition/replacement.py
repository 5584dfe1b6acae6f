"""Replaces a partition's object and its manifest as one (ADR 0011).

Belongs here: every write to a partition, and completing what a killed run began.
Does not: what the object contains, whether it may replace the present one (completeness).

No store replaces two objects in one step. A run therefore writes its manifest under a name of
its own, as a pending one, replaces the object, replaces the manifest, and removes the pending
one. Whoever finds a pending manifest compares it with the object (ledger), so that the
partition is the old or the new one at every moment.
"""

from __future__ import annotations

import json
import logging
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import asdict, dataclass, replace

from lake.base.day import Day
from lake.base.errors import Conflict, LakeError, PermanentError
from lake.partition.layout import manifest_key, pending_key, table_key
from lake.partition.ledger import Standing, read_standing
from lake.partition.manifest import Manifest, write_manifest
from lake.process.running import this_writer
from lake.store import Store, Upload

_LOG = logging.getLogger(__name__)
_TRIES = 3  # writes of a manifest that another run writes at the same time


@dataclass(frozen=True)
class Etags:
    """A partition's object and manifest as stored; "" where there is none."""

    object: str
    manifest: str


class Replacement:
    """One replacement of a partition: `upload`, within it `announce`, after it `commit`.

    `expected` are the etags of what is replaced, `old` its manifest, None without one that can
    be read. Each step raises Conflict where another run has replaced the partition. After an error
    the partition is as it was; where the object may have been replaced the pending manifest stays
    and decides.
    """

    def __init__(
        self, store: Store, dataset: str, day: Day, expected: Etags, old: Manifest | None
    ) -> None:
        self._store = store
        self._where = f"{dataset} {day}"
        self._expected = expected
        self._old = old
        self._object = table_key(dataset, day)
        self._manifest = manifest_key(dataset, day)
        self._pending = pending_key(dataset, day)
        self._announced: Manifest | None = None
        self._etag = ""  # of the new object

    @contextmanager
    def upload(self) -> Iterator[Upload]:
        """The new object; it replaces the old one when the block ends without an error."""
        try:
            with self._store.upload(self._object, self._expected.object) as upload:
                yield upload
        except BaseException as error:
            if self._announced:
                self._withdraw(error)
            raise
        self._etag = upload.etag

    def announce(self, manifest: Manifest) -> None:
        """Writes the new object's manifest as a pending one, last in the upload's block."""
        new = replace(manifest, history=self._old.as_history() if self._old else [])
        new.to_bytes()  # fails here, if at all, and not with the object replaced
        try:
            write_pending(self._store, self._pending, new)
        except BaseException:
            self._remove_pending()  # it may have arrived all the same
            raise
        self._announced = new

    def commit(self) -> Manifest:
        """Replaces the manifest. Where that fails the pending one stays with a replaced object;
        an object that is new is removed.
        """
        if self._announced is None:
            raise RuntimeError("commit without announce")
        try:
            self._write_manifest(self._announced)
        except Conflict:
            self._remove_pending()
            raise
        except BaseException:
            if self._expected.object:
                _LOG.warning(
                    "%s: new object, its manifest is pending: export it again", self._where
                )
            elif self._is_object(self._etag):  # else another run's by now, or not known
                self._remove_new()
            raise
        self._remove_pending()
        return self._announced

    def _write_manifest(self, new: Manifest) -> None:
        """While the object is this run's, its manifest replaces that of any other run."""
        replaced = self._expected.manifest
        for _ in range(_TRIES):
            with suppress(Conflict):
                write_manifest(self._store, new, replaced)
                return
            stat, present = self._store.stat(self._manifest), self._store.stat(self._object)
            if present is None or present.etag != self._etag:
                break
            replaced = stat.etag if stat else ""
        raise Conflict("another run has replaced the object", where=self._store.url(self._object))

    def _withdraw(self, error: BaseException) -> None:
        """Removes the pending manifest if the object was certainly not replaced. It may have been
        where a response was lost, an interrupt came meanwhile, a later step failed.
        """
        if isinstance(error, Conflict) or (
            isinstance(error, PermanentError) and self._is_object(self._expected.object)
        ):
            self._remove_pending()
        else:
            _LOG.warning("%s stays: unknown whether the object was replaced", self._pending)

    def _is_object(self, etag: str) -> bool:
        """Whether the object has this etag, with "" whether there is none. No if unknown."""
        try:
            stat = self._store.stat(self._object)
        except LakeError as error:
            _LOG.debug("object not compared: %s", error)
            return False
        return (stat.etag if stat else "") == etag

    def _remove_new(self) -> None:
        try:
            self._store.delete(self._manifest)  # it may have arrived, with its response lost
            self._store.delete(self._object)
            self._store.delete(self._pending)
        except LakeError as error:
            _LOG.warning("%s: an object without a manifest stays behind: %s", self._where, error)

    def _remove_pending(self) -> None:
        """A failure here must not hide another error: the remaining one is true, or ignored."""
        try:
            self._store.delete(self._pending)
        except LakeError as error:
            _LOG.warning("%s stays behind: %s", self._pending, error)


def write_pending(store: Store, key: str, manifest: Manifest) -> None:
    """Writes a pending manifest and the process that writes it."""
    claim = {"writer": this_writer(), "manifest": asdict(manifest)}
    store.write(key, (json.dumps(claim, ensure_ascii=False) + "\n").encode())


def settle(store: Store, dataset: str, day: Day) -> Standing:
    """Completes what a killed run began: writes its manifest where the object matches it, and
    removes its pending one. Runs that still go on are left alone.

    Raises Conflict where another run was faster.
    """
    standing = read_standing(store, dataset, day)
    if not standing.pending:
        return standing
    held = standing.manifest
    if isinstance(held, Manifest) and held is not standing.stored:
        write_manifest(store, held, standing.etag)
    for pending in standing.pending:
        if pending.over or pending.manifest is held:  # the manifest holds the same by now
            store.delete(pending.key)
    return read_standing(store, dataset, day)


def settle_idle(store: Store, dataset: str, day: Day) -> Standing:
    """Like `settle`. Raises Conflict where a run is replacing the partition."""
    standing = settle(store, dataset, day)
    if any(not pending.over for pending in standing.pending):
        raise Conflict(
            "the partition is being exported",
            where=f"{dataset} {day}",
            found=standing.pending[0].writer,
            remedy="drop it when that export has ended",
        )
    return standing


def remove(store: Store, dataset: str, day: Day, expected: Etags) -> None:
    """Removes the manifest, then the object: without a manifest no query reads the object.

    Raises Conflict where the partition is not the expected one.
    """
    standing = settle_idle(store, dataset, day)
    stat = store.stat(table_key(dataset, day))
    if Etags(stat.etag if stat else "", standing.etag) != expected:
        raise Conflict(
            "the partition was replaced meanwhile",
            where=f"{dataset} {day}",
            remedy="inspect it again",
        )
    store.delete(manifest_key(dataset, day))
    store.delete(table_key(dataset, day))
