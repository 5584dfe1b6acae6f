"""Deletion manifests: what a run deletes, written before it does, and what became of it.

Belongs here: their objects. Does not: deleting.

`retention/deletions/<id>.json` is created once. `<id>.done.json` is written when the run has
ended; a deletion without it was interrupted, and the next run completes it.
"""

from __future__ import annotations

import hashlib
import json
import secrets
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

from lake import __version__, audit
from lake.base.day import Day
from lake.base.errors import BadData, Missing, UsageError
from lake.base.members import LaterVersion, of_own_members
from lake.process.running import this_writer
from lake.retention.plan import Item, PlannedObject
from lake.retired import DELETIONS
from lake.store import Store

UNREADABLE = "a deletion manifest can't be read"
_DONE = ".done.json"


@dataclass(frozen=True)
class Deletion:
    """One run's deletion manifest. `writer` is its process."""

    id: str
    at: str
    who: str
    version: str
    writer: str
    policy: dict[str, Any]
    items: tuple[Item, ...]

    @property
    def key(self) -> str:
        """Where it lies."""
        return f"{DELETIONS}{self.id}.json"

    @property
    def done_key(self) -> str:
        """Where its end is recorded."""
        return f"{DELETIONS}{self.id}{_DONE}"

    def to_bytes(self) -> bytes:
        """Human-readable UTF-8 JSON."""
        fields = {**self.__dict__, "items": [item.to_json() for item in self.items]}
        return (json.dumps(fields, indent=1, ensure_ascii=False) + "\n").encode()


@dataclass(frozen=True)
class DeletionEnd:
    """How a deletion ended. `kept`: by `kind name day` why an item was not deleted after all."""

    at: str
    deleted: int
    kept: dict[str, str] = field(default_factory=dict)

    def to_bytes(self) -> bytes:
        """Human-readable UTF-8 JSON."""
        return (json.dumps(self.__dict__, indent=1, ensure_ascii=False) + "\n").encode()


def name_of(item: Item) -> str:
    """As `DeletionEnd.kept` names it."""
    return f"{item.kind} {item.name} {item.day}"


def write_deletion(
    store: Store, policy: dict[str, Any], items: Sequence[Item], now: datetime
) -> Deletion:
    """With the SHA-256 of each object that no manifest has. Raises what the store raises."""
    hashed = tuple(_hashed(store, item) for item in items)
    deletion = Deletion(
        f"{now.astimezone(UTC):%Y%m%dT%H%M%S}-{secrets.token_hex(4)}",
        now.isoformat(timespec="milliseconds"),
        audit.who(),
        __version__,
        this_writer(),
        policy,
        hashed,
    )
    store.write(deletion.key, deletion.to_bytes(), replaces="")
    return deletion


def _hashed(store: Store, item: Item) -> Item:
    pieces = tuple(
        piece
        if piece.sha256
        else PlannedObject(piece.key, piece.bytes, piece.etag, _sha256(store, piece))
        for piece in item.pieces
    )
    return Item(item.kind, item.name, item.day, item.reason, pieces, item.rows)


def _sha256(store: Store, piece: PlannedObject) -> str:
    """Of an object that may have gone meanwhile."""
    digest = hashlib.sha256()
    try:
        for chunk in store.chunks(piece.key):
            digest.update(chunk)
    except Missing:
        return ""
    return digest.hexdigest()


def deletions(store: Store) -> Iterator[tuple[Deletion, DeletionEnd | None]]:
    """All of them, oldest first. Raises BadData where one can't be read."""
    keys = [stat.key for stat in store.list(DELETIONS)]
    ended = {key.removesuffix(_DONE) for key in keys if key.endswith(_DONE)}
    for key in sorted(key for key in keys if not key.endswith(_DONE)):
        deletion = _deletion(store, key)
        done = key.removesuffix(".json") in ended
        yield deletion, _ended(store, deletion.done_key) if done else None


def deleted_days(store: Store) -> dict[str, set[Day]]:
    """The days whose tables completed deletions have deleted, by dataset."""
    days: dict[str, set[Day]] = {}
    for deletion, ended in deletions(store):
        for item in deletion.items:
            if item.kind == "table" and ended and name_of(item) not in ended.kept:
                days.setdefault(item.name, set()).add(item.day)
    return days


def unfinished(store: Store) -> list[Deletion]:
    """Those that were interrupted, oldest first; no other is read."""
    keys = [stat.key for stat in store.list(DELETIONS)]
    ended = {key.removesuffix(_DONE) for key in keys if key.endswith(_DONE)}
    open_keys = [
        key for key in keys if not key.endswith(_DONE) and key.removesuffix(".json") not in ended
    ]
    return [_deletion(store, key) for key in sorted(open_keys)]


def _deletion(store: Store, key: str) -> Deletion:
    try:
        fields = json.loads(store.read(key))
        items = tuple(_item(item) for item in fields.pop("items"))
        deletion = of_own_members(Deletion, {**fields, "items": items})
        if deletion.key != key:
            raise ValueError(f"its id is {deletion.id}")
    except (ValueError, TypeError, KeyError, AttributeError, UsageError) as error:
        raise _unreadable(store, key, error) from error
    return deletion


def _item(fields: dict[str, Any]) -> Item:
    pieces = tuple(of_own_members(PlannedObject, piece) for piece in fields.pop("pieces"))
    return of_own_members(Item, {**fields, "day": Day.parse(fields["day"]), "pieces": pieces})


def _ended(store: Store, key: str) -> DeletionEnd:
    try:
        return of_own_members(DeletionEnd, json.loads(store.read(key)))
    except (ValueError, TypeError, AttributeError) as error:
        raise _unreadable(store, key, error) from error


def _unreadable(store: Store, key: str, error: Exception) -> BadData:
    if isinstance(error, LaterVersion):
        return error.explained("a deletion manifest", store.url(key))
    return BadData(
        UNREADABLE,
        where=store.url(key),
        found=error,
        remedy="restore the object's first version",
    )
