"""Deletion manifests and holds compared with the store and the audit log.

Belongs here: what must be gone, what must be there. Does not: the audit log's own chain (audit),
partitions and snapshots that are there (verify).

An object that was deleted by other means shows where something names it: a partition's or a
snapshot's manifest (verify), a day between exported ones (status), an audit entry of a hold. What
nothing names can't be seen: a partition whose manifest was deleted too is missing to `lake status`,
the same as a day that was never exported.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any

from lake import audit
from lake.base.errors import BadData
from lake.holds.changing import ADDED, RELEASED
from lake.holds.hold import PREFIX, key_of, release_key_of
from lake.process.running import is_alive
from lake.retention.apply import ACTION
from lake.retention.records import Deletion, DeletionEnd, deletions, name_of
from lake.retired import read_retired
from lake.store import Store


@dataclass(frozen=True)
class Records:
    """What was compared, and what does not agree."""

    deletions: int
    objects: int
    problems: tuple[str, ...]

    def to_json(self) -> dict[str, Any]:
        """For `--json`."""
        return {
            "deletions": self.deletions,
            "objects": self.objects,
            "problems": list(self.problems),
        }


def check(store: Store) -> Records:
    """Compares all of them. Raises what the store raises.

    What a run beside it was about to complete is no problem: those that a second look shows, too,
    are.
    """
    first = _looked_at(store)
    if not first.problems:
        return first
    second = _looked_at(store)
    return replace(second, problems=tuple(p for p in second.problems if p in first.problems))


def _looked_at(store: Store) -> Records:
    try:
        entries = list(audit.entries(store))
    except BadData:  # audit.check reports it
        entries = []
    try:
        known = list(deletions(store))
    except BadData as error:
        return Records(0, 0, (f"{error.what}: {error.parts.get('where')}",))
    etags: dict[str, str] = {}
    if known:
        etags = {stat.key: stat.etag for stat in store.list("")}
    problems = [
        *_of_entries(store, entries, known),
        *_of_objects(known, etags),
        *_of_retired(store, known),
        *_of_holds(store, entries),
    ]
    objects = sum(len(item.pieces) for deletion, _ in known for item in deletion.items)
    return Records(len(known), objects, tuple(problems))


_Known = Sequence[tuple[Deletion, DeletionEnd | None]]


def _of_entries(store: Store, entries: Sequence[audit.Entry], known: _Known) -> Iterator[str]:
    """Each deletion manifest is as the audit log has it, and each one there is still there."""
    announced = {
        entry.details.get("deletion"): str(entry.details.get("manifest_sha256"))
        for entry in entries
        if entry.action == ACTION and entry.details.get("state") == "intended"
    }
    for deletion, _ in known:
        sha256 = hashlib.sha256(store.read(deletion.key)).hexdigest()
        expected = announced.pop(deletion.id, None)
        if expected is None:
            yield f"deletion {deletion.id}: the audit log has no entry of it"
        elif expected != sha256:
            yield f"deletion {deletion.id}: its manifest is not the one in the audit log"
    for gone in sorted(str(deletion_id) for deletion_id in announced):
        yield f"deletion {gone}: its manifest is gone"


def _of_objects(known: _Known, etags: dict[str, str]) -> Iterator[str]:
    """What was deleted is gone, or was written again since."""
    for deletion, ended in known:
        if ended is None:
            if not is_alive(deletion.writer):
                yield f"deletion {deletion.id}: interrupted; `lake retention apply` completes it"
            continue
        for item in deletion.items:
            if name_of(item) in ended.kept:
                continue
            # Objects of a snapshot may be another's by now.
            for piece in item.pieces[:1] if item.kind == "snapshot" else item.pieces:
                if etags.get(piece.key) == piece.etag:
                    yield f"deletion {deletion.id}: {piece.key} is there, as it was before"


def _of_retired(store: Store, known: _Known) -> Iterator[str]:
    try:
        retired = read_retired(store)
    except BadData as error:
        yield f"{error.what}: {error.parts.get('where')}"
        return
    for deletion, ended in known:
        for item in deletion.items:
            done = item.kind == "table" and ended and name_of(item) not in ended.kept
            if done and item.day not in retired.deleted(item.name):
                yield f"{name_of(item)} was retired, but is not in the record of retired days"


def _of_holds(store: Store, entries: Sequence[audit.Entry]) -> Iterator[str]:
    """Holds and releases that the audit log has are there."""
    keys = {stat.key for stat in store.list(PREFIX)}
    released = {entry.details.get("id") for entry in entries if entry.action == RELEASED}
    for entry in entries:
        hold_id = str(entry.details.get("id"))
        if entry.action == ADDED and key_of(hold_id) not in keys:
            state = ", and it was released" if hold_id in released else ""
            yield f"hold {hold_id}: its object is gone{state}"
        if entry.action == RELEASED and release_key_of(hold_id) not in keys:
            yield f"hold {hold_id}: the audit log has its release, but its object is not there"
