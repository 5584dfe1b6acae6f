"""Does the object hold what its manifest claims, and does the source still agree?

Belongs here: reading objects back and comparing. Does not: mending, or the ledger's overview.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, field
from typing import Any

from lake.base.datasets import Dataset
from lake.base.day import Day
from lake.base.errors import Missing
from lake.base.manifest import Manifest
from lake.base.store import Store
from lake.sources import Source


@dataclass(frozen=True)
class Finding:
    """One partition checked. `problems` is empty where all holds."""

    dataset: str
    day: Day
    rows: int
    bytes: int
    source_count: int | None
    problems: tuple[str, ...] = field(default=())

    @property
    def ok(self) -> bool:
        """Whether nothing is wrong."""
        return not self.problems

    def to_json(self) -> dict[str, Any]:
        """For `--json`."""
        return {
            "dataset": self.dataset,
            "day": str(self.day),
            "ok": self.ok,
            "rows": self.rows,
            "bytes": self.bytes,
            "source_count": self.source_count,
            "problems": list(self.problems),
        }


def verify_partition(
    store: Store, dataset: Dataset, day: Day, manifest: Manifest | None, source: Source | None
) -> Finding:
    """Reads the whole object; with a source, counts the day there again.

    Raises what the store and the source raise; a difference is a finding, not an error.
    """
    if manifest is None:
        return Finding(dataset.name, day, 0, 0, None, ("no manifest: the day is not exported",))
    problems = _object_problems(store, manifest)
    counted = None
    if source:
        count = source.count(dataset, day)
        counted = count.rows
        short = counted > manifest.rows
        over = counted < manifest.rows and not source.may_count_low
        if short or over or (source.may_count_low and counted < manifest.source_count):
            problems.append(
                f"the source counts {counted} rows ({count.method}), the lake has {manifest.rows}"
            )
    return Finding(dataset.name, day, manifest.rows, manifest.bytes, counted, tuple(problems))


def _object_problems(store: Store, manifest: Manifest) -> list[str]:
    digest, size = hashlib.sha256(), 0
    try:
        for chunk in store.chunks(manifest.key):
            digest.update(chunk)
            size += len(chunk)
    except Missing:
        return ["the object is gone"]
    problems = []
    if size != manifest.bytes:
        problems.append(f"the object has {size} bytes, its manifest says {manifest.bytes}")
    if digest.hexdigest() != manifest.sha256:
        problems.append("the object's sha256 is not its manifest's")
    return problems
