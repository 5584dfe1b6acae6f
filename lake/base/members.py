"""Stored JSON objects as dataclasses.

Belongs here: which members are taken. Does not: checks of their values.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, TypeVar

from lake.base.errors import BadData

Record = TypeVar("Record")


class LaterVersion(ValueError):
    """A record has members that this version does not know, so that it may mean something else."""

    def explained(self, record: str, where: str) -> BadData:
        """The error for people. `record`: what is stored at `where`."""
        what = f"{record} is of a later version"
        return BadData(what, where=where, found=self, remedy="run that version")


def of_members(kind: type[Record], members: Mapping[str, Any]) -> Record:
    """A dataclass' instance. What a later version stored besides is ignored, so that it can be read
    after a roll-back. Raises TypeError where a member is missing.
    """
    known = kind.__dataclass_fields__  # type: ignore[attr-defined]
    if members.keys() <= known.keys():
        return kind(**members)
    return kind(**{name: members[name] for name in known if name in members})


def of_own_members(kind: type[Record], members: Mapping[str, Any]) -> Record:
    """A dataclass' instance, of a record by which rows are removed or kept. Raises LaterVersion
    where a later version stored something besides, and TypeError where a member is missing.
    """
    known = kind.__dataclass_fields__  # type: ignore[attr-defined]
    if unknown := sorted(members.keys() - known.keys()):
        raise LaterVersion(f"unknown to this version: {', '.join(unknown)}")
    return kind(**members)
