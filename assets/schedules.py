"""When Dagster exports by itself.

Belongs here: jobs and schedules. Does not: assets.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

import dagster as dg

from assets.guard import NAME as GUARD
from assets.names import asset_name
from assets.rehearsal import NAME as REHEARSAL
from assets.resources import LakeResource
from assets.retention import NAME as RETENTION
from assets.rollups import has_rollup, rollup_asset_key
from assets.snapshots import GROUP as SNAPSHOTS
from assets.snapshots import snapshot_name
from assets.status import NAME as STATUS
from assets.status import check_keys
from assets.verification import NAME as VERIFICATION
from lake.base.day import Day
from lake.base.errors import LakeError
from lake.completeness import last_counts
from lake.config.datasets import Dataset
from lake.config.settings import Settings
from lake.hot import late_days
from lake.snapshots.manifest import snapshot_days
from lake.systems.registry import backed_up_systems, daily_systems

if TYPE_CHECKING:
    from dagster._core.definitions.partitions.partitioned_schedule import (
        UnresolvedPartitionedAssetScheduleDefinition as PartitionedSchedule,
    )
    from dagster._core.definitions.unresolved_asset_job_definition import (
        UnresolvedAssetJobDefinition as Job,
    )


def export_job(settings: Settings) -> Job:
    """The tables and rollups; what is late is read every hour, not in each run."""
    return dg.define_asset_job(
        "export",
        selection=dg.AssetSelection.all()
        - dg.AssetSelection.groups(SNAPSHOTS, REHEARSAL, GUARD, RETENTION, STATUS, VERIFICATION)
        - dg.AssetSelection.checks(*check_keys(settings)),
        description="All datasets of one closed UTC day.",
    )


def status_job(settings: Settings) -> Job:
    """The overview and the tables' checks."""
    return dg.define_asset_job(
        "check_days",
        selection=dg.AssetSelection.groups(STATUS)
        | dg.AssetSelection.checks(*check_keys(settings)),
        description="Days of all tables that are missing, late or damaged, by the manifests.",
    )


def status_schedule(job: Job) -> dg.ScheduleDefinition:
    """Every hour: the hours that are left change, and days become due."""
    return _schedule(
        "check_days_hourly",
        "15 * * * *",
        job,
        "Every hour: reads from the manifests which days are missing, late or damaged.",
    )


def _group_job(name: str, group: str, description: str) -> Job:
    """All assets of a group."""
    return dg.define_asset_job(
        name, selection=dg.AssetSelection.groups(group), description=description
    )


def _schedule(name: str, cron: str, job: Job, description: str) -> dg.ScheduleDefinition:
    """Times are UTC; running by default."""
    return dg.ScheduleDefinition(
        name=name,
        cron_schedule=cron,
        execution_timezone="UTC",
        job=job,
        default_status=dg.DefaultScheduleStatus.RUNNING,
        description=description,
    )


SNAPSHOT_JOB = _group_job("snapshot", SNAPSHOTS, "Takes raw snapshots of all systems.")

REHEARSAL_JOB = _group_job(
    "rehearse", REHEARSAL, "Restores snapshots and compares them with the tables."
)
GUARD_JOB = _group_job("guard", GUARD, "Sets TTL limits so that only proven documents expire.")
RETENTION_JOB = _group_job("retention_run", RETENTION, "Deletes what [retention] no longer keeps.")
VERIFY_JOB = _group_job(
    "verify", VERIFICATION, "Reads every object back and compares it with its manifest."
)

GUARD_SCHEDULE = _schedule(
    "guard_daily",
    "30 4 * * *",  # after the exports and the re-counts
    GUARD_JOB,
    "Every day at 04:30 UTC: lets proven documents expire.",
)
RETENTION_SCHEDULE = _schedule(
    "retention_daily",
    "0 6 * * *",  # after the guard: what it has just proven is still there
    RETENTION_JOB,
    "Every day at 06:00 UTC: deletes what [retention] no longer keeps.",
)
VERIFY_SCHEDULE = _schedule(
    "verify_weekly",
    "0 7 * * 0",  # when the night's work is over
    VERIFY_JOB,
    "Every Sunday at 07:00 UTC: reads every object back, `lake verify --record`.",
)


def export_schedule(job: Job) -> PartitionedSchedule | dg.ScheduleDefinition:
    """Half an hour after midnight: what the sources still had in their queues has arrived."""
    return dg.build_schedule_from_partitioned_job(
        job,
        name="export_daily",
        hour_of_day=0,
        minute_of_hour=30,
        default_status=dg.DefaultScheduleStatus.RUNNING,
        description="Every day at 00:30 UTC: exports the day that has just closed.",
    )


def recount_schedule(settings: Settings, job: Job) -> dg.ScheduleDefinition:
    """Late rows: what `lake recheck` does, a run for each source, and one for days about to go.

    A day that has grown is rewritten, one that shrank fails; the others are skipped.
    """

    @dg.schedule(
        name="recount_late_days",
        cron_schedule="30 3 * * *",
        execution_timezone="UTC",
        job=job,
        default_status=dg.DefaultScheduleStatus.RUNNING,
        description="Every day at 03:30 UTC: re-counts the days inside each source's lateness "
        "window and those that it is about to delete.",
    )
    def recount(
        context: dg.ScheduleEvaluationContext, lake: LakeResource
    ) -> Iterator[dg.RunRequest]:
        today = Day(context.scheduled_execution_time.date())
        for source in dict.fromkeys(dataset.source for dataset in settings.dataset):
            datasets = [dataset for dataset in settings.dataset if dataset.source == source]
            if days := late_days(settings, source, today):
                yield _recount(settings, datasets, days, f"{source} {today}")
        for (source, last), datasets in _last_counts(context, settings, lake, today).items():
            key = f"{source} {today} last {datasets[0].name}"
            yield _recount(settings, datasets, last, key)

    return recount


def _last_counts(
    context: dg.ScheduleEvaluationContext, settings: Settings, lake: LakeResource, today: Day
) -> dict[tuple[str, tuple[Day, ...]], list[Dataset]]:
    """By source and days that it is about to delete: the datasets. Where the store does not answer
    the next night counts again.
    """
    groups: dict[tuple[str, tuple[Day, ...]], list[Dataset]] = {}
    try:
        store = lake.store(settings)
        for dataset in settings.dataset:
            if days := last_counts(settings, store, dataset, today):
                groups.setdefault((dataset.source, tuple(days)), []).append(dataset)
    except LakeError as error:
        context.log.warning("no last counts: %s", error)
    return groups


def _recount(
    settings: Settings, datasets: Sequence[Dataset], days: Sequence[Day], key: str
) -> dg.RunRequest:
    """Consecutive days of the datasets."""
    names = [asset_name(dataset.name) for dataset in datasets]
    rollups = [rollup_asset_key(dataset) for dataset in datasets if has_rollup(settings, dataset)]
    return dg.RunRequest(
        run_key=key,
        asset_selection=[*map(dg.AssetKey, names), *rollups],
        run_config={"ops": {name: {"config": {"recheck": True}} for name in names}},
        tags={
            "dagster/asset_partition_range_start": str(days[0]),
            "dagster/asset_partition_range_end": str(days[-1]),
        },
    )


def snapshot_schedule(settings: Settings) -> dg.ScheduleDefinition:
    """A run for each system, so that one which fails stops no other."""

    @dg.schedule(
        name="snapshot_daily",
        # After the export: what it holds is then a part of the snapshot as well.
        cron_schedule="30 1 * * *",
        execution_timezone="UTC",
        job=SNAPSHOT_JOB,
        default_status=dg.DefaultScheduleStatus.RUNNING,
        description="Every day at 01:30 UTC: takes raw snapshots of all systems.",
    )
    def snapshots(context: dg.ScheduleEvaluationContext) -> Iterator[dg.RunRequest]:
        night = Day(context.scheduled_execution_time.date())
        for system in daily_systems(settings):
            yield dg.RunRequest(
                run_key=f"snapshot {system} {night}",
                asset_selection=[dg.AssetKey(snapshot_name(system))],
            )

    return snapshots


def rehearsal_schedule(settings: Settings) -> dg.ScheduleDefinition:
    """On the first of a month, as the report's plot has one point per month."""

    @dg.schedule(
        name="rehearse_monthly",
        cron_schedule="0 5 1 * *",
        execution_timezone="UTC",
        job=REHEARSAL_JOB,
        default_status=dg.DefaultScheduleStatus.RUNNING,
        description="On the first of every month at 05:00 UTC: rehearses, if there is a snapshot.",
    )
    def rehearsals(
        context: dg.ScheduleEvaluationContext, lake: LakeResource
    ) -> dg.RunRequest | dg.SkipReason:
        store, systems = lake.store(settings), backed_up_systems(settings)
        if not any(snapshot_days(store, system) for system in systems):
            names = ", ".join(systems) or "no configured system"
            return dg.SkipReason(f"no snapshot of {names} in {settings.lake.root} to rehearse with")
        return dg.RunRequest(run_key=f"rehearsal {context.scheduled_execution_time:%Y-%m}")

    return rehearsals
