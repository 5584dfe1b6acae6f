"""When Dagster exports by itself.

Belongs here: jobs and schedules. Does not: assets.
"""

from __future__ import annotations

from collections.abc import Iterator

import dagster as dg

from lake.base.day import Day
from lake.base.settings import Settings
from lake.recheck import late_days

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
    """Late rows: what `lake recheck` does, a run for each source.

    A day that has grown is rewritten, one that shrank fails; the others are skipped.
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
        for source in dict.fromkeys(dataset.source for dataset in settings.dataset):
            names = [one.name for one in settings.dataset if one.source == source]
            if days := late_days(settings, source, today):
                yield dg.RunRequest(
                    run_key=f"{source} {today}",
                    asset_selection=[dg.AssetKey(name) for name in names],
                    run_config={"ops": {name: {"config": {"recheck": True}} for name in names}},
                    tags={
                        "dagster/asset_partition_range_start": str(days[0]),
                        "dagster/asset_partition_range_end": str(days[-1]),
                    },
                )

    return recount
