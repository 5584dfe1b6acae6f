"""The same question to Spark and to DuckDB, and their rows compared."""

from __future__ import annotations

import math
from datetime import UTC, datetime
from typing import Any

import pyarrow as pa

from support.hand_made import HandMadeLake


def in_spark(spark: Any, sql: str) -> list[dict[str, Any]]:
    return list(spark.sql(sql).toArrow().to_pylist())


def in_duckdb(lake: HandMadeLake, sql: str) -> list[dict[str, Any]]:
    with lake.connect() as session:
        answer = session.ask_arrow(sql)
        return pa.Table.from_batches(answer.batches, answer.schema).to_pylist()


def comparable(value: Any) -> Any:
    if isinstance(value, dict):
        return {name: comparable(part) for name, part in value.items()}
    if isinstance(value, list | tuple):
        return [comparable(part) for part in value]
    if isinstance(value, datetime):
        return value.astimezone(UTC)
    if isinstance(value, float) and math.isnan(value):
        return "NaN"
    return value


def same_rows(ours: list[dict[str, Any]], theirs: list[dict[str, Any]]) -> None:
    """In any order of rows, in one of columns."""
    assert sorted(map(repr, map(comparable, ours))) == sorted(map(repr, map(comparable, theirs)))


def same_values(ours: list[dict[str, Any]], theirs: list[dict[str, Any]]) -> None:
    """The same by names, for tables whose columns and members are in another order."""
    same_rows([_by_name(row) for row in ours], [_by_name(row) for row in theirs])


def _by_name(value: Any) -> Any:
    if isinstance(value, dict):
        return {name: _by_name(value[name]) for name in sorted(value)}
    return [_by_name(part) for part in value] if isinstance(value, list) else value
