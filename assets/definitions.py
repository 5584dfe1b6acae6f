"""Everything that Dagster loads, made from lake.toml.

Belongs here: putting the parts together. Does not: any part, or work at import time.
"""

from __future__ import annotations

import warnings

import dagster as dg

from assets.alerting import alert_sensor
from assets.exports import export_asset
from assets.guard import guard_asset, is_enabled
from assets.rehearsal import rehearsal_asset
from assets.resources import LakeResource
from assets.retention import retention_asset
from assets.schedules import (
    GUARD_JOB,
    GUARD_SCHEDULE,
    REHEARSAL_JOB,
    RETENTION_JOB,
    RETENTION_SCHEDULE,
    SNAPSHOT_JOB,
    VERIFY_JOB,
    VERIFY_SCHEDULE,
    export_job,
    export_schedule,
    recount_schedule,
    rehearsal_schedule,
    snapshot_schedule,
    status_job,
    status_schedule,
)
from assets.sensors import manifest_sensor
from assets.snapshots import snapshot_asset
from assets.sources import source_specs
from assets.status import status_asset, status_checks
from assets.verification import verification_asset
from lake.config.settings import Settings, load
from lake.systems.registry import backed_up_systems


def build(settings: Settings, lake: LakeResource | None = None) -> dg.Definitions:
    """Assets of the datasets, the snapshots and the rehearsal, their jobs and schedules.

    Sends no request to a server.
    """
    checks: list[dg.AssetChecksDefinition] = []
    exports = bool(settings.dataset)
    with warnings.catch_warnings():
        # Backfill policies and check results by partition: there is no older way to have them.
        warnings.simplefilter("ignore", dg.BetaWarning)
        warnings.simplefilter("ignore", dg.PreviewWarning)
        assets = [dg.AssetsDefinition(specs=list(source_specs(settings)))] if exports else []
        assets += [export_asset(settings, dataset) for dataset in settings.dataset]
        assets += [snapshot_asset(settings, system) for system in backed_up_systems(settings)]
        assets.append(rehearsal_asset(settings))
        if exports:
            assets.append(verification_asset(settings))
        if is_enabled(settings):
            assets.append(guard_asset(settings))
        if settings.retention.enabled:
            assets.append(retention_asset(settings))
        if exports:
            assets.append(status_asset(settings))
            checks = [status_checks(settings)]
    # A job that selects nothing would keep all the rest from being loaded.
    snapshots = bool(backed_up_systems(settings))
    guard, retention = is_enabled(settings), settings.retention.enabled
    export, status = export_job(settings), status_job(settings)
    return dg.Definitions(
        assets=assets,
        asset_checks=checks,
        jobs=[
            *([export, status, VERIFY_JOB] if exports else []),
            *([SNAPSHOT_JOB] if snapshots else []),
            *([GUARD_JOB] if guard else []),
            *([RETENTION_JOB] if retention else []),
            REHEARSAL_JOB,
        ],
        schedules=[
            *([export_schedule(export), recount_schedule(settings, export)] if exports else []),
            *([status_schedule(status)] if exports else []),
            *([VERIFY_SCHEDULE] if exports else []),
            *([snapshot_schedule(settings)] if snapshots else []),
            *([GUARD_SCHEDULE] if guard else []),
            *([RETENTION_SCHEDULE] if retention else []),
            rehearsal_schedule(settings),
        ],
        sensors=[*([manifest_sensor(settings)] if exports else []), alert_sensor(settings)],
        resources={"lake": lake or LakeResource.of(settings)},
        # The work of a run is threads waiting for servers: a process a step costs 5 s each.
        executor=dg.in_process_executor,
    )


@dg.definitions
def defs() -> dg.Definitions:
    """What workspace.yaml names. Raises ConfigError where lake.toml is missing or wrong."""
    return build(load())
