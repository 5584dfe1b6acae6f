"""A trend's answer for a range of days.

Belongs here: the check before, the question, which days the answer lacks.
Does not: how it is shown.
"""

from __future__ import annotations

from dataclasses import replace

from lake.base.day import Day, day_range
from lake.base.errors import UsageError
from lake.query import Answer, Lake
from lake.trends.files import Trend


def ask(lake: Lake, trend: Trend, start: Day, end: Day) -> Answer:
    """The trend over the UTC days [start, end), its rows a list.

    Raises UsageError where lake.toml lacks one of its datasets, LakeError where a read fails.
    """
    known = {dataset.name for dataset in lake.settings.dataset}
    lacking = [name for name in trend.inputs if name not in known]
    if lacking:
        raise UsageError(
            f"the trend {trend.name!r} reads a dataset that lake.toml does not have",
            expected="[[dataset]] " + ", ".join(trend.inputs),
            found=f"no {', '.join(lacking)}",
            remedy="add it to lake.toml and export it",
        )
    answer = lake.ask(trend.sql, {"from_day": start.date, "to_day": end.date})
    return replace(answer, rows=list(answer.rows))


def missing_days(lake: Lake, trend: Trend, start: Day, end: Day) -> dict[str, list[Day]]:
    """Of each input, the days of [start, end) that are not in the lake, where there are any."""
    wanted = list(day_range(start, end))
    missing = {name: [d for d in wanted if d not in lake.days(name)] for name in trend.inputs}
    return {name: days for name, days in missing.items() if days}
