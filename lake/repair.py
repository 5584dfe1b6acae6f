"""What killed and failed runs have left in the store: found, reported, finished or removed.

Belongs here: which objects are orphans and what may become of each. Does not: the state of
days (status), the content of objects (verify).
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Collection, Iterator, Sequence
from contextlib import suppress
from dataclasses import asdict, dataclass
from datetime import UTC, timedelta
from typing import Literal

from lake import audit
from lake.base.clock import utc_now
from lake.base.day import Day
from lake.base.errors import Conflict, LakeError, PermanentError
from lake.config.datasets import Dataset
from lake.config.settings import Settings
from lake.holds import Hold, Holds
from lake.holds import of as holds_of
from lake.hot import hot_days
from lake.partition.layout import (
    MANIFESTS,
    ROLLUPS,
    TABLES,
    partition_of_manifest,
    partition_of_pending,
    partition_of_table,
    rollup_of_manifest,
    rollup_of_object,
)
from lake.partition.ledger import Pending, Standing, read_standing
from lake.partition.read_back import read_back
from lake.partition.replacement import settle
from lake.retired import is_record_lost, read_retired
from lake.store import Store, Unfinished
from lake.systems.protocol import Source

_LOG = logging.getLogger(__name__)
_UPLOAD_AGE = timedelta(hours=1)  # S3 does not report whether an upload is still active
REPAIRED = "object removed"  # in the audit log
_Partition = tuple[str, Day]
_Open = Callable[[str], Source]
Kind = Literal["object", "pending", "upload", "rollup", "unknown"]
State = Literal["left", "removed", "finished", "kept"]


@dataclass(frozen=True)
class Orphan:
    """Something that belongs to no partition.

    object: a table's object without a manifest · pending: a manifest of a run that did not
    come to its end · upload: what one has sent so far · rollup: of no partition · unknown: not
    the lake's, below tables/.
    left: --repair fixes it · removed, finished: it did · kept: it does not, for `why`.
    """

    kind: Kind
    key: str
    state: State
    why: str

    def to_json(self) -> dict[str, str]:
        """For `--json`."""
        return asdict(self)


def find_orphans(settings: Settings, store: Store, listed: Store | None = None) -> list[Orphan]:
    """All of them, in the order of kinds and keys. Running exports have none.

    `listed` is the same store for listings of whole folders, which may be some seconds old.
    """
    return list(_orphans(settings, store, listed or store, mend=False))


def repair(settings: Settings, store: Store, source_of: _Open | None = None) -> list[Orphan]:
    """Finishes or removes them, and returns what became of each.

    A pending manifest that its object bears out becomes the manifest. An object without a manifest
    is removed if its day can be exported again: the source keeps the day and counts as many rows.
    Else rows that can be read are kept: they may be the only ones. So they are without
    `source_of`, which opens a source by name.
    """
    return list(_orphans(settings, store, store, source_of, mend=True))


def _orphans(
    settings: Settings,
    store: Store,
    listed: Store,
    source_of: _Open | None = None,
    *,
    mend: bool,
) -> Iterator[Orphan]:
    holds = holds_of(store, settings)
    # Tables first: a writer of an object there has left a claim below manifests/ before.
    tables = [table.key for table in listed.list(TABLES)]
    manifests = [manifest.key for manifest in listed.list(MANIFESTS)]
    rollups = [rollup.key for rollup in listed.list(ROLLUPS)]
    claimed = {partition_of_manifest(key) for key in manifests}
    begun = {partition for key in manifests if (partition := partition_of_pending(key))}
    for dataset, day in sorted(begun):
        standing = read_standing(store, dataset, day)
        yield from _pending(store, (dataset, day), standing, mend=mend)
        if standing.manifest is not None or any(not claim.over for claim in standing.pending):
            claimed.add((dataset, day))
    for key in tables:
        if (partition := partition_of_table(key)) is None:
            yield Orphan("unknown", key, "kept", "it is not the lake's: remove it by hand")
        elif partition not in claimed and not _is_claimed(store, partition):
            yield _unclaimed(settings, store, source_of, partition, key, holds, mend=mend)
    yield from _rollups(settings, store, [*manifests, *rollups], claimed, holds, mend=mend)
    try:
        uploads = [
            upload for prefix in (TABLES, ROLLUPS, MANIFESTS) for upload in store.unfinished(prefix)
        ]
    except PermanentError as error:  # not every server, nor every role, lists them
        _LOG.warning("unfinished uploads are not listed: %s", error.what)
        return
    for upload in uploads:
        yield from _upload(store, upload, mend=mend)


def _pending(
    store: Store, partition: _Partition, standing: Standing, *, mend: bool
) -> Iterator[Orphan]:
    over = [claim for claim in standing.pending if claim.over]
    left = {claim.key for claim in over}
    if mend and over:
        with suppress(Conflict):  # an export has been faster: it settles it
            left = {claim.key for claim in settle(store, *partition).pending}
    for ended in over:
        done: State = "finished" if ended.manifest is standing.manifest else "removed"
        state: State = "left" if ended.key in left else done
        yield Orphan("pending", ended.key, state, _why_pending(ended, standing))


def _why_pending(pending: Pending, standing: Standing) -> str:
    if pending.manifest is None:
        return "it can't be read"
    if pending.manifest is standing.manifest:
        return "its run was killed after it replaced the object, which bears it out"
    return "its run was killed before it replaced the object"


def _rollups(
    settings: Settings,
    store: Store,
    keys: Sequence[str],
    claimed: Collection[_Partition | None],
    holds: Holds,
    *,
    mend: bool,
) -> Iterator[Orphan]:
    """Those without a partition. A part of a rollup whose partition is there may be a run's that
    is just storing it, and `lake rollup` completes it; one of a retired day is kept on purpose.
    """
    retired, lost = read_retired(store), is_record_lost(store)
    for key in keys:
        partition = rollup_of_manifest(key) or rollup_of_object(key)
        if partition is None or partition in claimed:
            continue
        if partition[1] in retired.deleted(partition[0]):  # also if it was exported again and lost
            continue
        if hold := _hold(settings, store, holds, partition, mend=mend):
            yield Orphan("rollup", key, "kept", f"its partition is not there; {hold}")
            continue
        if lost:
            why = "its partition is not there, retired or not: the record of retired days is gone; "
            yield Orphan("rollup", key, "kept", f"{why}`lake retention apply` makes it again")
            continue
        if _is_claimed(store, partition):
            continue
        if mend:
            details = {"day": str(partition[1]), "key": key}
            audit.append(store, REPAIRED, partition[0], "a rollup without a table", details=details)
            store.delete(key)
        yield Orphan("rollup", key, "removed" if mend else "left", "its partition is not there")


def _is_claimed(store: Store, partition: _Partition) -> bool:
    """Whether a run has begun to write the partition since the listing, or has written it."""
    standing = read_standing(store, *partition)
    return standing.manifest is not None or any(not claim.over for claim in standing.pending)


def _hold(
    settings: Settings, store: Store, holds: Holds, partition: _Partition, *, mend: bool
) -> Hold | None:
    """Read again where something is to be removed: it may be new."""
    return (holds_of(store, settings) if mend else holds).blocking(*partition)


def _unclaimed(
    settings: Settings,
    store: Store,
    source_of: _Open | None,
    partition: _Partition,
    key: str,
    holds: Holds,
    *,
    mend: bool,
) -> Orphan:
    dataset, day = partition
    why = "no manifest: queries do not see it"
    if hold := _hold(settings, store, holds, partition, mend=mend):
        return Orphan("object", key, "kept", f"{why}; {hold}")
    known = {of.name: of for of in settings.dataset}.get(dataset)
    kept = known is not None and hot_days(settings, known.source).keeps(day)
    rows = read_back(store, key).rows if mend or not kept else None
    lacking = "" if kept else "the source no longer keeps the day"
    if known and kept and rows:
        lacking = _lacking(known, day, rows, source_of)
    if lacking and rows is not None:
        why = f"no manifest, and {lacking}: these rows may be the only ones"
        return Orphan("object", key, "kept", why)
    if mend:
        details = {"day": str(day), "key": key}
        audit.append(store, REPAIRED, dataset, "an object without a manifest", details=details)
        store.delete(key)
    return Orphan("object", key, "removed" if mend else "left", why)


def _lacking(dataset: Dataset, day: Day, rows: int, source_of: _Open | None) -> str:
    """Why the source may not have the rows, though by `[hot]` it keeps the day; "" where it
    counts as many.
    """
    if source_of is None:
        return "the source was not counted"
    try:
        counted = source_of(dataset.source).count(dataset, day).rows
    except LakeError as error:
        return f"the source could not be counted ({error.what})"
    return "" if counted >= rows else f"of {rows} rows the source has {counted}"


def _upload(store: Store, upload: Unfinished, *, mend: bool) -> Iterator[Orphan]:
    where = f"{upload.key or 'an unknown key'} ({upload.id})"
    if upload.begun is None:
        why = "the store does not say when it began: if nothing is being exported, abort it by hand"
        yield Orphan("upload", where, "kept", why)
        return
    age = utc_now() - upload.begun
    if upload.alive or (upload.alive is None and age < _UPLOAD_AGE):
        return
    if mend:
        store.abandon(upload)
    why = f"begun {upload.begun.astimezone(UTC).isoformat(timespec='seconds')} and not finished"
    yield Orphan("upload", where, "removed" if mend else "left", why)
