"""What state a day's rollup is in, by manifests and sizes alone.

Belongs here: the states. Does not: reading rollups back (verifying), mending (rollups).
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Literal

from lake.base.day import Day
from lake.config.datasets import Dataset
from lake.partition.layout import rollup_prefix
from lake.partition.manifest import Manifest
from lake.partition.rollups import RollupManifest, read_rollups
from lake.rollup.definition import AnyRollup
from lake.rollup.rollups import is_current
from lake.store import Store

RollupState = Literal["current", "missing", "stale", "damaged", "differs"]
"""current: made from the table as it is · missing: none · stale: the table or the rollup's rules
have changed since · damaged: its manifest is invalid, or the object is gone or of another size ·
differs: its sums are not the table's. Missing and stale ones are in no answer, and
`lake rollup` makes them."""

HARMLESS: frozenset[RollupState] = frozenset(("current", "missing", "stale"))


def rollup_states(
    store: Store, dataset: Dataset, rollup: AnyRollup, manifests: Mapping[Day, Manifest]
) -> dict[Day, RollupState]:
    """The state of each partition's rollup. Raises what the store raises."""
    rollups = read_rollups(store, dataset.name, manifests)
    sizes = {stat.key: stat.bytes for stat in store.list(rollup_prefix(dataset.name))}
    return {
        day: rollup_state(rollup, manifest, rollups.get(day), sizes)
        for day, manifest in manifests.items()
    }


def rollup_state(
    rollup: AnyRollup, manifest: Manifest, stored: object, sizes: Mapping[str, int]
) -> RollupState:
    """`found` is what `read_rollup` returns, `sizes` has the object's bytes, if there is one."""
    if stored is None:
        return "missing"
    if not isinstance(stored, RollupManifest):
        return "damaged"
    if not is_current(stored, manifest, rollup):
        return "stale"
    if sizes.get(stored.key) != stored.bytes:
        return "damaged"
    return "differs" if sum_problem(stored, manifest) else "current"


def sum_problem(stored: RollupManifest, manifest: Manifest) -> str:
    """How the rollup's sums and the table's rows disagree; empty where they do not."""
    names = stored.definition.get("rows") or []
    if not names:
        return ""
    counted = sum(number for name in names if isinstance(number := stored.sums.get(name), int))
    if counted == manifest.rows:
        return ""
    return f"the rollup adds up to {counted} rows, the table has {manifest.rows}"
