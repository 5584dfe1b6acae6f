"""Rollups as tables: the views `NAME_hourly`, of the days whose rollup is made from their table,
and of retired days.

Belongs here: their names, and which days they have. Does not: making rollups (lake.rollup), the
SQL of a view (tables).
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from typing import TYPE_CHECKING, Any

from lake.base.day import Day
from lake.base.errors import BadData
from lake.partition.layout import rollup_key
from lake.partition.rollups import RollupManifest, parse_rollup
from lake.query.tables import Table

if TYPE_CHECKING:
    from collections.abc import Callable

_SUFFIX = "_hourly"


def hourly(dataset: str) -> str:
    """The name of the view, and of the range macro without `_between`."""
    return f"{dataset}{_SUFFIX}"


def hourly_views(datasets: Iterable[str]) -> Mapping[str, str]:
    """Each view's name and its dataset; none whose name is another dataset's."""
    names = list(datasets)
    return {hourly(name): name for name in names if hourly(name) not in names}


def hourly_table(
    table: Table,
    rollups: Iterable[tuple[str, bytes]],
    url: Callable[[str], str],
    retired: Callable[[], Collection[Day]],
    rules: Mapping[str, Any],
) -> Table:
    """The rollups of a dataset's days as a table; `rollups` are keys and contents of manifests.

    A rollup that was made from another object than the day's, by other `rules` than those of now
    or with another `level_from`, or whose manifest is invalid, is as good as none: its day is in
    `unrolled`. That of a `retired` day has outlived its table on purpose, and can't be made again.
    """
    current: dict[Day, RollupManifest] = {}
    outlived: Collection[Day] | None = None
    for key, text in rollups:
        try:
            manifest = parse_rollup(key, text, url(key))
        except BadData:
            continue  # the note on the day's missing rollup has the remedy
        of_table = table.manifests.get(day := Day.parse(manifest.day))
        if of_table is None:
            outlived = retired() if outlived is None else outlived
            made_of_it = day in outlived
        else:
            made_of_it = (
                manifest.partition_sha256 == getattr(of_table, "sha256", "")
                and rules.items() <= manifest.definition.items()
                and _has_levels_of(table, manifest)
            )
        if made_of_it:
            current[day] = manifest
    return Table(
        hourly(table.dataset),
        current,
        url,
        key=lambda _, day: rollup_key(table.dataset, day),
        rolled_up=table.dataset,
        unrolled=frozenset(table.manifests) - current.keys(),
    )


def _has_levels_of(table: Table, manifest: RollupManifest) -> bool:
    """Whether levels were looked for in the places that the configuration names now."""
    parameters = manifest.definition.get("parameters") or {}
    return table.level_from is None or list(table.level_from) == parameters.get("level_from", [])
