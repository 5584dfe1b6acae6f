"""The columns of a table as Dagster shows them.

Belongs here: a manifest's schema as a TableSchema. Does not: what a column means (lake.columns).
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

import dagster as dg

from lake.columns import DAY, elsewhere, meaning, unit
from lake.partition.manifest import Manifest
from lake.partition.rollups import RollupManifest

KEY = "dagster/column_schema"
"""The metadata key under which Dagster looks for it."""
_COLUMNS = 100  # kept with each partition's event; a day may have thousands
_TYPE_LENGTH = 80


def column_schema(manifest: Manifest | RollupManifest) -> dict[str, dg.MetadataValue[Any]]:
    """The first 100 columns and `day`, which is in the path and not in the file."""
    columns = [dg.TableColumn("day", "date32[day]", description=DAY)]
    columns += [_column(manifest, column) for column in manifest.schema[:_COLUMNS]]
    return {KEY: dg.MetadataValue.table_schema(dg.TableSchema(columns))}


def _column(manifest: Manifest | RollupManifest, column: Mapping[str, Any]) -> dg.TableColumn:
    name = str(column["name"])
    description = "; ".join(filter(None, _sentences(manifest, name)))
    return dg.TableColumn(name, _type(column), description=description or None)


def _sentences(manifest: Manifest | RollupManifest, name: str) -> Iterator[str]:
    if isinstance(manifest, RollupManifest):
        yield "summed" if name in manifest.sums else ""
        yield unit(name)
        return
    known = meaning(manifest.source, name)
    yield known
    yield unit(name, known)
    left_out = manifest.details.get("left_out") or {}
    if number := sum(n for path, n in left_out.items() if path.partition(".")[0] == name):
        yield elsewhere(number)


def _type(column: Mapping[str, Any]) -> str:
    """Arrow's name of the type, of a nested one with its members; cut where it is long."""
    text = _type_text(column)
    return text if len(text) <= _TYPE_LENGTH else f"{text[: _TYPE_LENGTH - 1]}…"


def _type_text(column: Mapping[str, Any]) -> str:
    kind = str(column["type"])
    if kind == "struct":
        members = (f"{member['name']}: {_type_text(member)}" for member in column["fields"])
        return f"struct<{', '.join(members)}>"
    if kind == "list":
        return f"list<{_type_text(column['item'])}>"
    if kind == "map":
        return f"map<{_type_text(column['key'])}, {_type_text(column['value'])}>"
    return kind
