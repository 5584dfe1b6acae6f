"""Which days may still change, and so are counted again.

Belongs here: the days inside a source's lateness window. Does not: counting and rewriting them
(export), or when that happens (schedules).
"""

from __future__ import annotations

from collections.abc import Sequence

from lake.base.datasets import Dataset
from lake.base.day import Day, day_range
from lake.base.settings import Settings


def late_days(settings: Settings, source: str, today: Day | None = None) -> list[Day]:
    """The closed days that may still grow and that the source keeps whole, oldest first.

    Days that are not exported yet are among them. None before `[lake] first_day`; none where
    the source is not configured.
    """
    section = getattr(settings.sources, source)
    if section is None:
        return []
    end = today or Day.today()
    # A day that the source no longer keeps whole would only look as if it had shrunk.
    watched = min(section.lateness_days, getattr(settings.hot, source) - 1)
    return list(day_range(max(end.plus(-watched), Day(settings.lake.first_day)), end))


def late_partitions(settings: Settings, datasets: Sequence[Dataset]) -> list[tuple[Dataset, Day]]:
    """The late days of each of the datasets."""
    return [(one, day) for one in datasets for day in late_days(settings, one.source)]
