"""The macro `lake_partitions()`: the days of all tables and rollups, as their manifests have them.

Belongs here: its columns. Does not: reading manifests (stored), when it is defined (session).
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from datetime import datetime
from typing import TYPE_CHECKING, Any

from lake.partition.manifest import Manifest
from lake.query.kinds import quoted_name
from lake.query.tables import Table

if TYPE_CHECKING:
    import duckdb

NAME = "lake_partitions"
_ROWS = "lake partitions"  # no dataset has a name with a space
_CALL = re.compile(rf"\b{NAME}\b", re.IGNORECASE)


def is_called(sql: str) -> bool:
    """Whether the SQL may name the macro."""
    return _CALL.search(sql) is not None


def define(connection: duckdb.DuckDBPyConnection, tables: Iterable[Table]) -> None:
    """Makes the macro, of these tables and rollups."""
    import pyarrow as pa  # noqa: PLC0415

    time = pa.timestamp("ms", "UTC")
    earlier = [("created_at", time), ("rows", pa.int64()), ("source_count", pa.int64())]
    schema = [
        ("dataset", pa.string()),
        ("kind", pa.string()),
        ("day", pa.date32()),
        ("rows", pa.int64()),
        ("bytes", pa.int64()),
        ("source_count", pa.int64()),
        ("created_at", time),
        ("earlier", pa.list_(pa.struct([*earlier, ("sha256", pa.string())]))),
        ("sha256", pa.string()),
        ("url", pa.string()),
        ("version", pa.string()),
    ]
    rows = [row for table in tables for row in _rows(table)]
    connection.register(_ROWS, pa.Table.from_pylist(rows, pa.schema(schema)))
    connection.execute(f"CREATE OR REPLACE MACRO {NAME}() AS TABLE FROM {quoted_name(_ROWS)}")


def _rows(table: Table) -> Iterator[dict[str, Any]]:
    for day, manifest in sorted(table.manifests.items()):
        row = {
            "dataset": table.rolled_up or table.dataset,
            "day": day.date,
            "created_at": datetime.fromisoformat(manifest.created_at),
            "url": table.url(table.key(table.dataset, day)),
            **{name: getattr(manifest, name) for name in ("rows", "bytes", "sha256", "version")},
        }
        if isinstance(manifest, Manifest):
            earlier = [
                claim | {"created_at": datetime.fromisoformat(claim["created_at"])}
                for claim in manifest.history
            ]
            yield row | {
                "kind": "table",
                "source_count": manifest.source_count,
                "earlier": earlier,
            }
        else:
            yield row | {"kind": "rollup", "earlier": []}
