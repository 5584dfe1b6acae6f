"""The asset of a dataset's rollup: downstream of its table, made by the same step.

Belongs here: its key, its check, its events. Does not: making rollups (lake.rollup), the step
(exports).
"""

from __future__ import annotations

from collections.abc import Iterator

import dagster as dg

from assets.columns import column_schema
from assets.links import links
from assets.names import ROLLUPS, asset_name, kind_of
from lake.base.day import Day
from lake.base.errors import LakeError, Missing
from lake.config.datasets import Dataset
from lake.config.settings import Settings
from lake.partition.layout import rollup_key, rollup_manifest_key
from lake.partition.ledger import read_manifest
from lake.partition.rollups import RollupManifest, read_rollup
from lake.rollup import Rolled, Rollups, rollup_of
from lake.rollup.checking import rollup_state
from lake.store import Store
from lake.systems.registry import system

MATCHES_TABLE = "rollup_matches_table"
_DESCRIPTION = (
    "The rollup was made from the current table, its object has its manifest's size, and its "
    "sums equal the table's."
)
Event = dg.AssetMaterialization | dg.AssetCheckEvaluation


def has_rollup(settings: Settings, dataset: Dataset) -> bool:
    """Whether it has one, or a file that is meant to define one."""
    try:
        return rollup_of(settings, dataset) is not None
    except LakeError:
        return True  # each run reports what is wrong with the file


def rollup_asset_key(dataset: Dataset) -> dg.AssetKey:
    """`rollups/NAME`."""
    return dg.AssetKey([ROLLUPS, asset_name(dataset.name)])


def rollup_spec(settings: Settings, dataset: Dataset) -> dg.AssetSpec:
    """The asset; its partitions are the table's."""
    return dg.AssetSpec(
        rollup_asset_key(dataset),
        deps=[dg.AssetKey(asset_name(dataset.name))],
        description=f"Rollup of `{dataset.name}`: the view `{dataset.name}_hourly`.",
        group_name=dataset.source,
        kinds={kind_of(system(dataset.source).title), "parquet"},
        tags={"source": dataset.source},
        owners=["team:monitoring"],
        metadata={"root": settings.lake.root},
        skippable=True,
    )


def rollup_check(dataset: Dataset, partitions: dg.PartitionsDefinition[str]) -> dg.AssetCheckSpec:
    """The check that the asset declares, one result per partition."""
    return dg.AssetCheckSpec(
        MATCHES_TABLE,
        asset=rollup_asset_key(dataset),
        description=_DESCRIPTION,
        partitions_def=partitions,
    )


def mended(settings: Settings, store: Store, dataset: Dataset, day: Day) -> Rolled:
    """The rollup of a stored day, made where it is missing or stale. Raises LakeError."""
    manifest = read_manifest(store, dataset.name, day)
    if manifest is None:
        raise Missing(
            f"{day} is not in the lake",
            where=f"dataset {dataset.name}",
            remedy=f"materialise {asset_name(dataset.name)} first",
        )
    return Rollups(settings, store).mend(dataset, day, manifest)


def rollup_events(
    settings: Settings, store: Store, dataset: Dataset, day: Day, rolled: Rolled
) -> Iterator[Event]:
    """The check's result as read from the store, then the record. Raises LakeError without one."""
    if rolled.error:
        raise rolled.error
    manifest, rollup = read_manifest(store, dataset.name, day), rollup_of(settings, dataset)
    stored = read_rollup(store, dataset.name, day)
    stat = store.stat(rollup_key(dataset.name, day))
    sizes = {stat.key: stat.bytes} if stat else {}
    state = rollup_state(rollup, manifest, stored, sizes) if rollup and manifest else "missing"
    yield dg.AssetCheckEvaluation(
        asset_key=rollup_asset_key(dataset),
        check_name=MATCHES_TABLE,
        passed=state == "current",
        description=None if state == "current" else f"The rollup is {state}.",
        partition=str(day),
    )
    if isinstance(stored, RollupManifest) and state == "current":
        yield dg.AssetMaterialization(
            rollup_asset_key(dataset),
            partition=str(day),
            metadata=_metadata(settings, store, stored, rolled),
        )


def _metadata(
    settings: Settings, store: Store, manifest: RollupManifest, rolled: Rolled
) -> dict[str, dg.MetadataValue]:
    key = rollup_manifest_key(manifest.dataset, Day.parse(manifest.day))
    return {
        "state": dg.MetadataValue.text(rolled.state),
        "rows": dg.MetadataValue.int(manifest.rows),
        "bytes": dg.MetadataValue.int(manifest.bytes),
        "sha256": dg.MetadataValue.text(manifest.sha256),
        "partition_sha256": dg.MetadataValue.text(manifest.partition_sha256),
        "sums": dg.MetadataValue.json(manifest.sums),
        "object": dg.MetadataValue.path(store.url(manifest.key)),
        "manifest": dg.MetadataValue.path(store.url(key)),
        **links(settings, manifest.key),
        **column_schema(manifest),
        "dagster/row_count": dg.MetadataValue.int(manifest.rows),
    }
