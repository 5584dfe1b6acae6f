"""A table on its way from a source to Parquet, and its schema as JSON.

Belongs here: the hand-over between sources and the writer.
Does not: how rows are read or written.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

import pyarrow as pa


@dataclass(frozen=True)
class TableStream:
    """Record batches of one partition, all of `schema`, in the order of `sorted_by`.

    `encodings` maps a leaf column's path (`llm.totalTokens`) to a Parquet encoding;
    `dictionary` names the leaf columns that are dictionary-encoded, all others are not.
    `zstd_levels` are those of leaf columns; where there are any, all others have zstd's own.
    `small`: so few rows that a page index and Arrow's own schema would weigh as much as columns.
    `details` may be filled until the last batch has been taken: counts for the metadata.
    `rules`: those that the rows went through (lake.privacy), as a manifest has them.
    """

    schema: pa.Schema
    batches: Iterator[pa.RecordBatch]
    sorted_by: tuple[str, ...] = ()
    encodings: Mapping[str, str] = field(default_factory=dict)
    dictionary: tuple[str, ...] = ()
    zstd_levels: Mapping[str, int] = field(default_factory=dict)
    details: dict[str, Any] = field(default_factory=dict)
    small: bool = False
    rules: list[dict[str, Any]] = field(default_factory=list)


def schema_to_json(schema: pa.Schema) -> list[dict[str, Any]]:
    """One object per column: name, type and, where there are any, fields, item, metadata.

    `type` is Arrow's name of a plain type (`int64`, `timestamp[ms, tz=UTC]`,
    `decimal128(5, 2)`), or `struct` (with `fields`), `list` (with `item`), `map`
    (with `key` and `value`).
    """
    return [_field_to_json(item) for item in schema]


def _field_to_json(column: pa.Field) -> dict[str, Any]:
    described: dict[str, Any] = {"name": column.name, **_type_to_json(column.type)}
    if column.metadata:
        described["metadata"] = {
            k.decode(): v.decode()
            for k, v in sorted(column.metadata.items())
            if not k.startswith(b"PARQUET:")
        }
    return described


def _type_to_json(kind: pa.DataType) -> dict[str, Any]:
    if pa.types.is_dictionary(kind):
        return _type_to_json(kind.value_type)
    if pa.types.is_struct(kind):
        return {
            "type": "struct",
            "fields": [_field_to_json(kind.field(i)) for i in range(kind.num_fields)],
        }
    if pa.types.is_list(kind) or pa.types.is_large_list(kind):
        return {"type": "list", "item": _field_to_json(kind.value_field)}
    if pa.types.is_map(kind):
        return {
            "type": "map",
            "key": _type_to_json(kind.key_type),
            "value": _type_to_json(kind.item_type),
        }
    return {"type": str(kind)}
