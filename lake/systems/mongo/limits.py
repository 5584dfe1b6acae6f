"""TTL indexes and their limits, as a server shows them.

Belongs here: of which field an index is, what it deletes, limits that are not a plain number of
seconds. Does not: which limit is right, setting it (expiry).
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

from lake.systems.expiry import NEVER_S, Index

INDEX_NAME = "lake_ttl"  # of the indexes that are made here; a later one has the field, too
_DAY_S = 86_400


def limit_of(definition: Mapping[str, Any]) -> int | None:
    """Seconds after which documents expire; None without a limit.

    A limit that is not a number counts as 0: older servers delete everything by it.
    """
    limit = definition.get("expireAfterSeconds")
    if limit is None:
        return None
    return int(limit) if isinstance(limit, int | float) and math.isfinite(limit) else 0


def is_made_here(index: Mapping[str, Any]) -> bool:
    """Whether the index has a name that only ours have."""
    name = str(index["name"])
    return name == INDEX_NAME or name.startswith(f"{INDEX_NAME}_")


def on_field(indexes: Sequence[Mapping[str, Any]], path: str) -> list[Index]:
    """Those of the field alone, the lowest limit first, those without one last."""
    ours = [index_of(index) for index in indexes if is_on(index, path)]
    return sorted(ours, key=lambda index: NEVER_S + 1 if index.limit_s is None else index.limit_s)


def deletes(index: Mapping[str, Any]) -> bool:
    """Whether documents expire by the index."""
    limit_s = limit_of(index)
    return limit_s is not None and limit_s < NEVER_S


def is_on(index: Mapping[str, Any], path: str) -> bool:
    """Whether it is an index of that field alone, over all documents."""
    key = dict(index["key"])
    simple = list(key) == [path] and isinstance(key[path], int | float)
    return simple and not index.get("partialFilterExpression")


def index_of(index: Mapping[str, Any]) -> Index:
    """Its name and limit."""
    return Index(str(index["name"]), limit_of(index))


def described(index: Mapping[str, Any]) -> str:
    """A phrase: its name, its fields, after how many days it deletes."""
    fields = ", ".join(index["key"])
    partial = " of some documents" if index.get("partialFilterExpression") else ""
    days = (limit_of(index) or 0) / _DAY_S
    return f"index {index['name']!r} on {fields}: deletes{partial} after {days:g} days"
