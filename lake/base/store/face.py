"""What every store can do.

Belongs here: the protocol. Does not: any store.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import AbstractContextManager
from dataclasses import dataclass
from typing import Protocol


@dataclass(frozen=True)
class ObjectStat:
    """An object as a listing shows it. `etag` changes when the content does."""

    key: str
    bytes: int
    etag: str


class Upload(Protocol):
    """An object being written: invisible until the `with` block ends without an error."""

    def write(self, data: bytes | memoryview) -> int:
        """Appends; returns the number of bytes taken."""


class Store(Protocol):
    """Objects by key. Every method raises Refused (credentials, permissions),
    Missing (bucket, object) or TransientError (unreachable, overloaded, timed out).
    """

    def url(self, key: str) -> str:
        """What DuckDB reads, and what messages show."""

    def stat(self, key: str) -> ObjectStat | None:
        """None where there is no such object."""

    def list(self, prefix: str) -> Iterator[ObjectStat]:
        """All objects whose key begins so, in the order of their keys."""

    def read(self, key: str) -> bytes:
        """The whole object. Raises Missing."""

    def chunks(self, key: str) -> Iterator[bytes]:
        """The object in pieces of a few MiB. Raises Missing."""

    def write(self, key: str, data: bytes) -> None:
        """Creates or replaces the object at once."""

    def upload(self, key: str) -> AbstractContextManager[Upload]:
        """Creates or replaces the object when the block ends; an error leaves the old one."""

    def delete(self, key: str) -> None:
        """Removes the object; nothing happens where there is none."""
