"""The labels of a rollup's rows: the columns that the table has.

Belongs here: which of them keep their columns, taking them for a few rows. Does not: measures.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from typing import Any

import pyarrow as pa

from lake.systems.labels import MAP_COLUMN, MAP_TYPE


class RowLabels:
    """Of a table whose other columns are `fixed`, in a rollup with the columns `taken`.

    A label that has the name of one of these goes to the map.
    """

    def __init__(self, schema: pa.Schema, fixed: Collection[str], taken: Collection[str]) -> None:
        labels = [name for name in schema.names if name not in fixed]
        self.own = [name for name in labels if name not in taken]
        self._colliding = [name for name in labels if name in taken]

    def fields(self) -> list[pa.Field]:
        """Of the labels' columns and the map."""
        return [*(pa.field(name, pa.string()) for name in self.own), pa.field(MAP_COLUMN, MAP_TYPE)]

    def dictionary(self) -> list[str]:
        """Their leaf columns, to be dictionary-encoded."""
        return [*self.own, f"{MAP_COLUMN}.key_value.key", f"{MAP_COLUMN}.key_value.value"]

    def maps_by(self, table: str, key: str) -> str:
        """SQL: `key`, which identifies a label set, and what the map `labels` has of it in the
        rollup. A table's object is sorted by the key, so only the first rows of each are grouped.
        """
        return f"""
            SELECT {key}, any_value(labels) AS labels
            FROM (
                SELECT {key}, {self._map_in(table)} AS labels, lag({key}) OVER () AS "|before"
                FROM {table}
            )
            WHERE "|before" IS DISTINCT FROM {key}
            GROUP BY {key}"""  # noqa: S608  quoted

    def _map_in(self, table: str) -> str:
        from lake.query.kinds import quoted_name, quoted_text  # noqa: PLC0415

        if not self._colliding:
            return f"{table}.{MAP_COLUMN}"
        entries = ", ".join(
            f"{{key: {quoted_text(name)}, value: {table}.{quoted_name(name)}}}"
            for name in self._colliding
        )
        return (
            f"map_from_entries(list_sort(list_concat(map_entries({table}.{MAP_COLUMN}), "
            f"list_filter([{entries}], lambda _e: _e.value IS NOT NULL))))"
        )

    def of_rows(
        self, batch: pa.RecordBatch, at: Any, others: Sequence[str] = ()
    ) -> dict[str, pa.Array]:
        """Those of the rows `at`, and other columns of texts; few rows, so no dictionaries."""
        index = pa.array(at)

        def taken(name: str) -> pa.Array:
            column = batch.column(name)
            if not pa.types.is_dictionary(column.type):
                return column.take(index)
            return column.dictionary.take(column.indices.take(index))

        columns = {name: taken(name) for name in (*others, *self.own)}
        maps = batch.column(MAP_COLUMN).take(index)
        if self._colliding:
            maps = _with_entries(maps, {name: taken(name) for name in self._colliding})
        return columns | {MAP_COLUMN: maps}


def _with_entries(maps: pa.Array, labels: dict[str, pa.Array]) -> pa.Array:
    texts = {name: column.to_pylist() for name, column in labels.items()}
    with_own = [
        sorted([*entries, *((name, of[at]) for name, of in texts.items() if of[at] is not None)])
        for at, entries in enumerate(maps.to_pylist())
    ]
    return pa.array(with_own, MAP_TYPE)
