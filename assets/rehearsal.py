"""The monthly rehearsal as an asset: its times become lines in Dagster's plots.

Belongs here: what Dagster keeps of a rehearsal. Does not: the rehearsal (lake.rehearse).
"""

# No `from __future__ import annotations` here: Dagster reads the asset's annotations as types.

from datetime import timedelta

import dagster as dg

from assets.failing import as_failures
from assets.names import asset_name
from assets.resources import LakeResource
from assets.snapshots import snapshot_name
from lake.config.settings import Settings
from lake.rehearse import Rehearsal, rehearse
from lake.rehearse.report import store_report
from lake.systems.registry import backed_up_systems

NAME = "rehearsal"
_FRESH_FOR = timedelta(days=33)  # one is held on the first of every month
_MOST_DIFFERENCES = 20  # differences in Dagster; the report has more


class RehearsalConfig(dg.Config):
    """What may be set in the launchpad, as with `lake rehearse`."""

    seed: int | None = None
    """Chooses the same snapshots and values again."""
    days: int = 1
    """Number of random snapshots of each system, besides the oldest and the newest."""


def rehearsal_asset(settings: Settings) -> dg.AssetsDefinition:
    """Not partitioned: a rehearsal is of the day on which it is held."""
    systems = backed_up_systems(settings)
    compared = [asset_name(d.name) for d in settings.dataset if d.source in systems]

    @dg.asset(
        name=NAME,
        deps=[*map(snapshot_name, systems), *compared],
        freshness_policy=dg.FreshnessPolicy.time_window(_FRESH_FOR),
        description=(
            "Restores snapshots into temporary servers and compares them with the tables. Fails "
            "on any difference; the report is written in any case."
        ),
        group_name=NAME,
        owners=["team:monitoring"],
        metadata={"root": settings.lake.root},
    )
    def rehearsal(
        context: dg.AssetExecutionContext, config: RehearsalConfig, lake: LakeResource
    ) -> dg.MaterializeResult[None]:
        with as_failures(context.run.run_id):
            store = lake.store(settings)
            held = rehearse(
                settings,
                store,
                systems=systems,
                seed=config.seed,
                days=config.days,
                progress=lambda name, text: context.log.info("%s: %s", name, text),
            )
            report = store_report(store, held)
        metadata = _metadata(held, report)
        if not held.ok:
            differences = "\n".join(held.differences()[:_MOST_DIFFERENCES])
            raise dg.Failure(
                f"the rehearsal failed; seed {held.seed}\n{differences}",
                metadata=metadata,
                allow_retries=False,
            )
        return dg.MaterializeResult(metadata=metadata)

    return rehearsal


def _metadata(held: Rehearsal, report: dict[str, str]) -> dict[str, dg.MetadataValue]:
    """Of each system the slowest recovery and the age of the newest snapshot's data."""
    metadata: dict[str, dg.MetadataValue] = {
        "report": dg.MetadataValue.path(report["html"]),
        "report_json": dg.MetadataValue.path(report["json"]),
        "seed": dg.MetadataValue.int(held.seed),
        "snapshots": dg.MetadataValue.int(len(held.snapshots)),
        "differences": dg.MetadataValue.int(len(held.differences())),
        "seconds": dg.MetadataValue.float(round(held.seconds, 3)),
    }
    slowest: dict[str, float] = {}
    for snapshot in held.snapshots:
        if snapshot.recovery:
            slowest[snapshot.system] = max(
                slowest.get(snapshot.system, 0), snapshot.recovery.total_s
            )
        if snapshot.newest_age_s is not None and snapshot.chosen in ("newest", "only"):
            metadata[f"{snapshot.system}_newest_age_s"] = dg.MetadataValue.float(
                snapshot.newest_age_s
            )
    for system, seconds in slowest.items():
        metadata[f"{system}_recovery_s"] = dg.MetadataValue.float(round(seconds, 3))
    return metadata
