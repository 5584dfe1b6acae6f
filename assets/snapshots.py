"""Raw snapshots, a system an asset, one partition a UTC day.

Belongs here: which systems have one, what Dagster keeps of each. Does not: taking snapshots
(lake.snapshot), when that happens (schedules).
"""

# No `from __future__ import annotations` here: Dagster reads the asset's annotations as types.

from pathlib import Path

import dagster as dg

from assets.exports import RETRIES, partitions_of
from assets.failing import as_failures
from assets.resources import LakeResource
from lake.base.day import Day
from lake.base.settings import Settings
from lake.snapshot import Outcome, take_snapshot
from lake.snapshots.manifest import SYSTEMS, snapshot_manifest_key

GROUP = "snapshots"


def snapshot_name(system: str) -> str:
    """The asset's."""
    return f"snapshot_{system}"


def configured_systems(settings: Settings) -> list[str]:
    """Those with a `[sources.…]`."""
    return [system for system in SYSTEMS if getattr(settings.sources, system) is not None]


def daily_systems(settings: Settings) -> list[str]:
    """Those of which the schedule takes snapshots.

    A system with a `[snapshots.…]` of its own in lake.toml is meant, whether its files are
    seen or not: then the run fails and says so. One without is meant where its files are.
    """
    sections = settings.snapshots
    seen = {
        "mongo": True,
        "prometheus": Path(sections.prometheus.data_dir).is_dir(),
        "loki": Path(sections.loki.data_dir).is_dir(),
    }
    meant = sections.model_fields_set
    return [one for one in configured_systems(settings) if one in meant or seen[one]]


def snapshot_asset(settings: Settings, system: str) -> dg.AssetsDefinition:
    """The asset of a system's snapshots."""

    @dg.asset(
        name=snapshot_name(system),
        description=(
            f"A raw backup of {system} as it is when this runs, filed under a day. What is "
            "stored already does not travel again."
        ),
        group_name=GROUP,
        kinds={"mongodb" if system == "mongo" else system},
        tags={"source": system},
        owners=["team:monitoring"],
        metadata={"root": settings.lake.root},
        partitions_def=partitions_of(settings),
        pool=system,
        retry_policy=RETRIES,
    )
    def snapshot(
        context: dg.AssetExecutionContext, lake: LakeResource
    ) -> dg.MaterializeResult[None]:
        with as_failures():
            store = lake.store(settings)
            outcome = take_snapshot(settings, store, system, Day.parse(context.partition_key))
        key = snapshot_manifest_key(system, Day.parse(outcome.manifest.day))
        return dg.MaterializeResult(metadata=_metadata(outcome, store.url(key)))

    return snapshot


def _metadata(outcome: Outcome, url: str) -> dict[str, dg.MetadataValue]:
    told = outcome.to_json()
    return {
        "files": dg.MetadataValue.int(told["files"]),
        "bytes": dg.MetadataValue.int(told["bytes"]),
        "sent_bytes": dg.MetadataValue.int(told["sent_bytes"]),
        "seconds": dg.MetadataValue.float(told["seconds"]),
        "counts": dg.MetadataValue.json(told["counts"]),
        "window": dg.MetadataValue.json(told["window"]),
        "server": dg.MetadataValue.json(outcome.manifest.server),
        "restore": dg.MetadataValue.text(outcome.manifest.restore),
        "manifest": dg.MetadataValue.path(url),
    }
