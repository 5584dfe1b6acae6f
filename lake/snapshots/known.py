"""What is already stored and need not be uploaded again.

Belongs here: reading manifests and journals for it. Does not: what is stored (collecting).
"""

from __future__ import annotations

import logging
from collections.abc import Iterable
from dataclasses import dataclass, field

from lake.base.errors import BadData, Missing
from lake.snapshots.journal import Journal, journals
from lake.snapshots.manifest import (
    SnapshotManifest,
    StoredFile,
    StoredObject,
    days_among,
    read_snapshot,
)
from lake.store import Store

_LOG = logging.getLogger(__name__)
_EARLIER = 3  # manifests that are looked at

Content = tuple[str, int]  # sha256, bytes


@dataclass
class Known:
    """Contents by sha256 and size; gzip members by what they hold; files by path.

    `newest` is the manifest of the last run, of those that could be read; `recent` are the last
    few, newest first; `dead` are the journals of runs that ended without one.
    """

    contents: dict[Content, StoredFile] = field(default_factory=dict)
    holding: dict[str, StoredFile] = field(default_factory=dict)
    files: dict[str, list[StoredFile]] = field(default_factory=dict)
    objects: dict[str, StoredObject] = field(default_factory=dict)
    newest: SnapshotManifest | None = None
    recent: list[SnapshotManifest] = field(default_factory=list)
    dead: list[Journal] = field(default_factory=list)

    def add(self, pieces: Iterable[StoredFile]) -> None:
        """Takes what is stored; the later of two pieces with the same content counts."""
        for piece in pieces:
            self.contents[piece.sha256, piece.bytes] = piece
            if piece.holds:
                self.holding[piece.holds] = piece

    def forget(self) -> None:
        """Everything is uploaded again: what is stored may be damaged."""
        for stored in (self.contents, self.holding, self.files, self.objects):
            stored.clear()


def known_to(store: Store, system: str) -> Known:
    """What the newest manifests and the journals of unfinished runs record, where it is there."""
    there = {stat.key: stat.bytes for stat in store.list(f"{system}/")}
    known = Known()
    manifests: list[SnapshotManifest] = []
    for day in days_among(there)[-_EARLIER:]:
        try:
            manifests.append(read_snapshot(store, system, day))
        except (BadData, Missing) as error:
            where = error.parts.get("where", store.url(f"{system}/"))
            _LOG.warning("%s: nothing is taken from it: %s", where, error.what)
    pieces: list[StoredFile] = []
    for journal in journals(store, there):
        known.objects |= {stored.key: stored for stored in journal.objects}
        pieces += journal.files
        if not journal.alive:
            known.dead.append(journal)
    for manifest in sorted(manifests, key=lambda snapshot: snapshot.created_at):
        known.newest = manifest
        known.recent.insert(0, manifest)
        known.objects |= {stored.key: stored for stored in manifest.objects}
        pieces += manifest.files
    known.objects = {
        key: stored for key, stored in known.objects.items() if there.get(key) == stored.bytes
    }
    known.add(piece for piece in pieces if piece.key in known.objects)
    known.files = _whole_files(known)
    return known


def _whole_files(known: Known) -> dict[str, list[StoredFile]]:
    """The newest manifest's, those of which nothing is lost."""
    files: dict[str, list[StoredFile]] = {}
    for piece in known.newest.files if known.newest else ():
        files.setdefault(piece.path, []).append(piece)
    return {
        path: pieces
        for path, pieces in files.items()
        if all(piece.key in known.objects for piece in pieces)
    }
