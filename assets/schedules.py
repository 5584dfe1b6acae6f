"""When Dagster exports by itself.

Belongs here: jobs and schedules. Does not: assets.
"""

from __future__ import annotations

import dagster as dg

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
