"""How long the lake keeps a day, by `[retention]`.

Belongs here: the terms of a dataset, the age of a day. Does not: what a source keeps (hot), days
that were deleted (retired), deleting (lake.retention), keys of lake.toml (lake.config.retention).
"""

from __future__ import annotations

from dataclasses import dataclass

from lake.base.day import Day
from lake.config.datasets import Dataset
from lake.config.retention import FOREVER
from lake.config.settings import Settings


@dataclass(frozen=True)
class KeepTerms:
    """For how many whole days after its end a day's table and rollup are kept."""

    tables: int
    rollups: int


def terms_of(settings: Settings, dataset: Dataset) -> KeepTerms:
    """The dataset's own terms, else its system's, else the section's; whether enabled or not."""
    return KeepTerms(*settings.retention.times(dataset.name, dataset.source))


def is_over(day: Day, keep: int, today: Day) -> bool:
    """Whether a day was kept for `keep` whole days after its end."""
    return keep < FOREVER and day.days_until(today) > keep


def is_retired_by_age(settings: Settings, dataset: Dataset, day: Day, today: Day) -> bool:
    """Whether retention deletes the day's table, and so it is not expected to be there."""
    enabled = settings.retention.enabled
    return enabled and is_over(day, terms_of(settings, dataset).tables, today)
