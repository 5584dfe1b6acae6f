"""What is checked of a partition after its export, and how Dagster shows it.

Belongs here: the checks of a stored partition, as values, and their rendering.
Does not: reading objects back (lake.verify), what happens when a check fails (exports).

The checks look at the lake, not at the export's result: an event in Dagster is a claim
about the object store, not the object store.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field

import dagster as dg

from lake.alerts.failures import ROWS_EQUAL_SOURCE
from lake.base.day import Day
from lake.config.datasets import Dataset
from lake.partition.ledger import read_manifest, read_manifest_in_place
from lake.partition.manifest import Manifest
from lake.store import Store
from lake.systems.registry import count_problem
from lake.verify import object_problems

OBJECT_MATCHES_MANIFEST = "object_matches_manifest"
_DESCRIPTIONS = {
    OBJECT_MATCHES_MANIFEST: "The stored object has its manifest's size, SHA-256 and rows.",
    ROWS_EQUAL_SOURCE: "The stored rows equal the source's count, taken independently of the read.",
}


@dataclass(frozen=True)
class Verdict:
    """One check of one partition. `problem` is empty where it passed."""

    name: str
    problem: str
    shown: Mapping[str, int | str] = field(default_factory=dict)

    @property
    def passed(self) -> bool:
        """Whether nothing is wrong."""
        return not self.problem


def check_partition(store: Store, dataset: Dataset, day: Day) -> tuple[Verdict, ...]:
    """Reads manifest and object back.

    Raises what the store raises, and BadData for a manifest that can't be read.
    """
    manifest = read_manifest_in_place(store, dataset.name, day)
    if problems := object_problems(store, manifest):  # another run may be replacing it
        manifest = read_manifest(store, dataset.name, day)
        problems = object_problems(store, manifest)
    size = manifest.bytes if manifest else 0
    stored = Verdict(OBJECT_MATCHES_MANIFEST, "; ".join(problems), {"bytes": size})
    return (stored, _rows(manifest))


def _rows(manifest: Manifest | None) -> Verdict:
    if manifest is None:
        return Verdict(ROWS_EQUAL_SOURCE, "no manifest: the day is not exported")
    return Verdict(
        ROWS_EQUAL_SOURCE,
        count_problem(manifest),
        {
            "rows": manifest.rows,
            "source_count": manifest.source_count,
            "count_method": manifest.count_method,
        },
    )


def check_specs(asset: str, partitions: dg.PartitionsDefinition[str]) -> list[dg.AssetCheckSpec]:
    """The checks that an asset declares, one result per partition."""
    return [
        dg.AssetCheckSpec(name, asset=asset, description=description, partitions_def=partitions)
        for name, description in _DESCRIPTIONS.items()
    ]


def evaluations(
    asset: str, day: Day, verdicts: tuple[Verdict, ...]
) -> Iterator[dg.AssetCheckEvaluation]:
    """What Dagster keeps of the verdicts on one partition."""
    for verdict in verdicts:
        yield dg.AssetCheckEvaluation(
            asset_key=dg.AssetKey(asset),
            check_name=verdict.name,
            passed=verdict.passed,
            description=verdict.problem or None,
            metadata=dict(verdict.shown),
            partition=str(day),
        )
