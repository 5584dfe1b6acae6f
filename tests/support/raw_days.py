"""What the raw tests share: the day, its datasets, tables as plain rows."""

from __future__ import annotations

import math
import struct
import uuid
from pathlib import Path
from typing import Any

import pyarrow as pa

from lake.base.day import Day
from lake.systems.prometheus.config import PrometheusDataset
from lake.systems.prometheus.reading import PrometheusReader

DAY = Day.parse("2026-03-14")
STALE = 0x7FF0000000000002
NAN = 0x7FF8000000000001


def dataset(query: str) -> PrometheusDataset:
    return PrometheusDataset(name="t", source="prometheus", query=query, mode="raw")


def read_day(
    reader: PrometheusReader, chosen: PrometheusDataset, day: Day, tmp_path: Path
) -> tuple[pa.Table, dict[str, Any]]:
    """The day's rows, as many as the source counts, and the details of the read."""
    scratch = tmp_path / uuid.uuid4().hex
    scratch.mkdir()
    with reader.read(chosen, day, scratch) as stream:
        table = pa.Table.from_batches(list(stream.batches), stream.schema)
    assert reader.count(chosen, day).rows == table.num_rows
    return table, stream.details


def fresh_metric() -> str:
    return f"raw_{uuid.uuid4().hex[:12]}"


def bits(value: float) -> int:
    return int.from_bytes(struct.pack(">d", value))


def double(number: int) -> float:
    return struct.unpack(">d", number.to_bytes(8))[0]


def expected_row(at_ms: int, number: int) -> tuple[int, int | None, str | None]:
    """(ms, the value's bits, nan) as the table has to have it."""
    if math.isnan(double(number)):
        return at_ms, None, "stale" if number == STALE else "nan"
    return at_ms, number, None


def rows_by(table: pa.Table, label: str) -> dict[str, list[tuple[int, int | None, str | None]]]:
    """(ms, the value's bits, nan) of each series, in the table's order."""
    by_label: dict[str, list[tuple[int, int | None, str | None]]] = {}
    if not table.num_rows:
        return by_label
    for name, at, value, nan in zip(
        table[label].to_pylist(),
        table["ts"].cast(pa.int64()).to_pylist(),
        table["value"].to_pylist(),
        table["nan"].to_pylist(),
        strict=True,
    ):
        by_label.setdefault(name, []).append((at, None if value is None else bits(value), nan))
    return by_label
