"""When Dagster exports by itself.

Belongs here: jobs and schedules. Does not: assets.
"""

from __future__ import annotations

from collections.abc import Iterator

import dagster as dg

from lake.base.day import Day
from lake.base.settings import Settings

EXPORT_JOB = dg.define_asset_job(
    "export",
    selection=dg.AssetSelection.all(),
    description="All datasets of one closed UTC day.",
)

# Half an hour after midnight: what the sources still had in their queues has arrived.
EXPORT_SCHEDULE = dg.build_schedule_from_partitioned_job(
    EXPORT_JOB,
    name="export_daily",
    hour_of_day=0,
    minute_of_hour=30,
    default_status=dg.DefaultScheduleStatus.RUNNING,
    description="Every day at 00:30 UTC: the day that has just closed.",
)


def recount_schedule(settings: Settings) -> dg.ScheduleDefinition:
    """Late rows: each source's closed days that may still grow are counted again.

    A day that has grown is rewritten; the others are skipped.
    """

    @dg.schedule(
        name="recount_late_days",
        cron_schedule="30 3 * * *",
        execution_timezone="UTC",
        job=EXPORT_JOB,
        default_status=dg.DefaultScheduleStatus.RUNNING,
        description="Every day at 03:30 UTC: the days inside each source's lateness window.",
    )
    def recount(context: dg.ScheduleEvaluationContext) -> Iterator[dg.RunRequest]:
        today = Day(context.scheduled_execution_time.date())
        for name in dict.fromkeys(dataset.source for dataset in settings.dataset):
            lateness = getattr(settings.sources, name).lateness_days
            first = max(today.plus(-lateness), Day(settings.lake.first_day))
            if first < today:
                yield dg.RunRequest(
                    run_key=f"{name} {today}",
                    asset_selection=[
                        dg.AssetKey(one.name) for one in settings.dataset if one.source == name
                    ],
                    tags={
                        "dagster/asset_partition_range_start": str(first),
                        "dagster/asset_partition_range_end": str(today.plus(-1)),
                    },
                )

    return recount
