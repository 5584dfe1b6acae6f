"""Rollups of a dataset as a trend reads them: on S3, from copies on this machine.

Belongs here: which table they are, the range macro over it. Does not: copying
(lake.query.rollup_cache), which dataset is read (fitting).
"""

from __future__ import annotations

from dataclasses import replace

from lake.base.day import Day, day_range
from lake.query import Lake
from lake.query.failures import explained
from lake.query.hourly import hourly
from lake.query.kinds import quoted_name
from lake.query.rollup_cache import local_rollups
from lake.query.tables import Table


def rollups_of(lake: Lake, table: Table) -> Table:
    """The dataset's rollups; none where another dataset has their view's name."""
    rollups = lake.table(hourly(table.dataset))
    if rollups.rolled_up == table.dataset:
        return rollups
    return replace(
        rollups,
        manifests={},
        rolled_up=table.dataset,
        unrolled=frozenset(table.manifests),
    )


def hourly_macro(lake: Lake, rollups: Table, start: Day, end: Day) -> str:
    """The range macro of the rollups, quoted; on S3 over local copies of these days'."""
    local = local_rollups(lake.connection, lake.settings, rollups, day_range(start, end))
    if local is None:
        lake.define(rollups.dataset)
        return quoted_name(f"{rollups.dataset}_between")
    with explained(lake.settings.lake.root):
        for statement in local.definitions(with_rest=False):
            lake.connection.execute(statement)
    return quoted_name(f"{local.dataset}_between")
