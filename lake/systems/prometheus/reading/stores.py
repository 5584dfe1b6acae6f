"""The stores behind Thanos Query: one that is away leaves a hole that no answer reports.

Belongs here: what its list of stores means for a day. Does not: asking for it (api).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from lake.base.errors import TransientError

Store = Mapping[str, Any]


def listed(answer: Any) -> list[Store]:
    """Of all kinds, as Thanos lists them."""
    kinds = answer.get("data") if isinstance(answer, dict) else None
    if not isinstance(kinds, dict):
        return []
    return [store for stores in kinds.values() for store in stores or ()]


def require(stores: Sequence[Store], at_least: int, where: str) -> None:
    """Raises TransientError. After some minutes Thanos drops a store that is away."""
    if len(stores) < at_least:
        raise TransientError(
            "Thanos has fewer stores than it should, so the response would have gaps",
            where=where,
            expected=f"{at_least} ([sources.prometheus] min_stores)",
            found=len(stores),
            remedy="bring the stores back, or lower min_stores",
        )


def refuse_holes(stores: Sequence[Store], start_ms: int, end_ms: int) -> None:
    """Raises TransientError where a store that covers some of [start, end) is away."""
    for store in stores:
        if store.get("lastError") and (
            store.get("minTime", start_ms) < end_ms and store.get("maxTime", end_ms) >= start_ms
        ):
            raise TransientError(
                "a store of Thanos is away, so the response would have gaps",
                where=store.get("name"),
                found=store["lastError"],
                remedy="bring the store back, or take it out of Thanos Query",
            )
