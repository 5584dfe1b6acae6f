"""Raw snapshots, one asset per system. Not partitioned: a snapshot is of now.

Belongs here: which systems have one, what Dagster keeps of each. Does not: taking snapshots
(lake.snapshot), when that happens (schedules).
"""

# No `from __future__ import annotations` here: Dagster reads the asset's annotations as types.

from datetime import timedelta

import dagster as dg

from assets.exports import RETRIES
from assets.failing import as_failures
from assets.names import kind_of
from assets.resources import LakeResource
from assets.sources import sources_of
from lake.base.day import Day
from lake.config.settings import Settings
from lake.snapshot import SnapshotOutcome, take_snapshot
from lake.snapshots.holding import spans
from lake.snapshots.manifest import snapshot_manifest_key
from lake.systems.registry import system

GROUP = "snapshots"
FRESH_FOR = timedelta(hours=30)  # they are taken daily


def snapshot_name(system: str) -> str:
    """The asset's."""
    return f"snapshot_{system}"


class SnapshotConfig(dg.Config):
    """Settings of the launchpad, as with `lake snapshot`."""

    allow_shrink: bool = False
    """Accepts a snapshot that holds less than half of the one before."""


def snapshot_asset(settings: Settings, name: str) -> dg.AssetsDefinition:
    """The asset of a system's snapshots."""

    @dg.asset(
        name=snapshot_name(name),
        deps=sources_of(settings, name),
        freshness_policy=dg.FreshnessPolicy.time_window(FRESH_FOR),
        description=(
            f"A raw backup of {system(name).title} as of the run, filed under that UTC day. "
            "Objects that an earlier one stored are not uploaded again."
        ),
        group_name=GROUP,
        kinds={kind_of(system(name).title)},
        tags={"source": name},
        owners=["team:monitoring"],
        metadata={"root": settings.lake.root},
        pool=name,
        retry_policy=RETRIES,
    )
    def snapshot(
        context: dg.AssetExecutionContext, config: SnapshotConfig, lake: LakeResource
    ) -> dg.MaterializeResult[None]:
        with as_failures(context.run.run_id):
            store = lake.store(settings)
            outcome = take_snapshot(settings, store, name, allow_shrink=config.allow_shrink)
        key = snapshot_manifest_key(name, Day.parse(outcome.manifest.day))
        return dg.MaterializeResult(metadata=_metadata(outcome, store.url(key)))

    return snapshot


def _metadata(outcome: SnapshotOutcome, url: str) -> dict[str, dg.MetadataValue]:
    content = outcome.to_json()
    return {
        "day": dg.MetadataValue.text(content["day"]),
        "holds": dg.MetadataValue.text(spans(outcome.manifest.held_days())),
        "whole_days": dg.MetadataValue.int(len(content["whole_days"])),
        "files": dg.MetadataValue.int(content["files"]),
        "bytes": dg.MetadataValue.int(content["bytes"]),
        "sent_bytes": dg.MetadataValue.int(content["sent_bytes"]),
        "seconds": dg.MetadataValue.float(content["seconds"]),
        "counts": dg.MetadataValue.json(content["counts"]),
        "window": dg.MetadataValue.json(content["window"]),
        "server": dg.MetadataValue.json(outcome.manifest.server),
        "restore": dg.MetadataValue.text(outcome.manifest.restore),
        "manifest": dg.MetadataValue.path(url),
    }
