"""What every store can do.

Belongs here: the protocol. Does not: any store.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from datetime import datetime
from typing import Protocol


@dataclass(frozen=True)
class ObjectStat:
    """An object as a listing shows it. `etag` changes with every write of other content.

    `modified` is UTC, None where only `etag` is known.
    """

    key: str
    bytes: int
    etag: str
    modified: datetime | None = field(default=None, compare=False)


@dataclass(frozen=True)
class Unfinished:
    """An upload that has not ended. `id` is the store's own name of it.

    `begun`: when, in UTC, None where the store does not say. `alive`: whether its writer still
    runs, None where that can't be known.
    """

    key: str
    id: str
    begun: datetime | None
    alive: bool | None


@dataclass(frozen=True)
class ObjectVersion:
    """One version of an object, or the mark of its deletion, as a listing shows it.

    `modified` is UTC; `current`: what a read without a version returns.
    """

    key: str
    bytes: int
    modified: datetime
    storage_class: str
    current: bool
    deleted: bool = False


class Upload(Protocol):
    """An object being written: invisible until the `with` block ends without an error.

    After that `etag` is the object's.
    """

    etag: str

    def write(self, data: bytes | memoryview) -> int:
        """Appends; returns the number of bytes taken."""


class Store(Protocol):
    """Objects by key. Every method raises Refused (credentials, permissions),
    Missing (bucket, object) or TransientError (unreachable, overloaded, timed out).

    Where `replaces` is given, only the object with that etag is replaced, with "" none at
    all; else Conflict is raised, and another writer's object stays.
    """

    objects_a_thread: int  # small ones that are read in the time that another thread costs

    def url(self, key: str) -> str:
        """What DuckDB reads, and what messages show."""

    def stat(self, key: str) -> ObjectStat | None:
        """None where there is no such object."""

    def list(self, prefix: str) -> Iterator[ObjectStat]:
        """All objects whose key begins so, in the order of their keys."""

    def versions(self, prefix: str, *, noncurrent: bool = True) -> Iterator[ObjectVersion]:
        """All versions of all objects whose key begins so, in the listing's own order.

        No more than a page of them is in memory. Without `noncurrent` the current ones only,
        which needs a smaller permission on S3.
        """

    def read(self, key: str) -> bytes:
        """The whole object. Raises Missing."""

    def chunks(self, key: str, start: int = 0) -> Iterator[bytes]:
        """The object in pieces of a few MiB, from byte `start` on. Raises Missing."""

    def write(self, key: str, data: bytes, replaces: str | None = None) -> None:
        """Creates or replaces the object at once."""

    def upload(self, key: str, replaces: str | None = None) -> AbstractContextManager[Upload]:
        """Creates or replaces the object when the block ends; an error leaves the old one."""

    def delete(self, key: str) -> None:
        """Removes the object; nothing happens where there is none."""

    def unfinished(self, prefix: str) -> tuple[Unfinished, ...]:
        """Uploads of keys that begin so, whose writers still run or did not come to an end."""

    def abandon(self, upload: Unfinished) -> None:
        """Removes what an upload has sent so far."""

    def locks(self) -> bool:
        """Whether versions of objects can be held (S3 Object Lock)."""

    def set_legal_holds(self, prefix: str, wanted: Callable[[str], bool], *, on: bool) -> int:
        """Sets or lifts the legal hold of every version of the wanted keys that begin so.

        Returns the number of versions. Only where `locks`.
        """
