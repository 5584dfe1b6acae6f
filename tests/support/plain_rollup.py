"""A series' hour summed up sample by sample, in plain Python: what a rollup has to hold.

Belongs here: samples as Python values, tables of them. Does not: any code of the lake.
"""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

import pyarrow as pa

from support.plain_histograms import Histogram

HOUR_MS = 3_600_000
_TS = pa.timestamp("ms", tz="UTC")
_BUCKET = pa.struct(
    [("lower", pa.float64()), ("upper", pa.float64()), ("count", pa.float64()),
     ("bounds", pa.int8())]
)  # fmt: skip
HISTOGRAM = pa.struct(
    [("count", pa.float64()), ("sum", pa.float64()), ("buckets", pa.list_(_BUCKET))]
)
SCHEMA = pa.schema(
    [
        ("ts", _TS),
        ("metric", pa.dictionary(pa.int32(), pa.string())),
        ("value", pa.float64()),
        ("nan", pa.dictionary(pa.int32(), pa.string())),
        ("series_id", pa.int64()),
        ("histogram", HISTOGRAM),
        ("code", pa.dictionary(pa.int32(), pa.string())),
        ("labels", pa.map_(pa.string(), pa.string())),
    ]
)


@dataclass(frozen=True)
class Sample:
    """One of a series. `value` is None for a stale marker."""

    series: int
    ts_ms: int
    value: float | Histogram | None


def table(samples: Iterable[Sample]) -> pa.Table:
    """As the lake's table: sorted, NaN as NULL."""
    rows = sorted(samples, key=lambda sample: (sample.series, sample.ts_ms))

    def number(sample: Sample) -> float | None:
        return (
            sample.value
            if isinstance(sample.value, float) and not math.isnan(sample.value)
            else None
        )

    def nan(sample: Sample) -> str | None:
        if sample.value is None:
            return "stale"
        return "nan" if isinstance(sample.value, float) and math.isnan(sample.value) else None

    def histogram(sample: Sample) -> dict[str, Any] | None:
        if not isinstance(sample.value, Histogram):
            return None
        buckets = [
            {"lower": lower, "upper": upper, "count": count, "bounds": 0}
            for lower, upper, count in sample.value.buckets
        ]
        return {"count": sample.value.count, "sum": sample.value.sum, "buckets": buckets}

    columns = {
        "ts": [sample.ts_ms for sample in rows],
        "metric": [f"m{sample.series % 2}" if sample.series else None for sample in rows],
        "value": [number(sample) for sample in rows],
        "nan": [nan(sample) for sample in rows],
        "series_id": [sample.series for sample in rows],
        "histogram": [histogram(sample) for sample in rows],
        "code": [str(sample.series) for sample in rows],
        "labels": [[("Path", f"/{sample.series}")] for sample in rows],
    }
    return pa.table({name: pa.array(columns[name], SCHEMA.field(name).type) for name in columns})


def summed(samples: Iterable[Sample]) -> dict[tuple[int, int], dict[str, Any]]:
    """By series and hour (ms)."""
    groups: dict[tuple[int, int], list[Sample]] = defaultdict(list)
    for sample in sorted(samples, key=lambda sample: (sample.series, sample.ts_ms)):
        groups[sample.series, sample.ts_ms // HOUR_MS * HOUR_MS].append(sample)
    return {key: _hour(group) for key, group in groups.items()}


def _hour(group: list[Sample]) -> dict[str, Any]:
    floats = [sample for sample in group if isinstance(sample.value, float)]
    numbers = [sample for sample in floats if not math.isnan(sample.value)]
    values = [sample.value for sample in numbers]
    row: dict[str, Any] = {
        "samples": len(numbers),
        "nans": len(floats) - len(numbers),
        "stale": sum(sample.value is None for sample in group),
        "histograms": sum(isinstance(sample.value, Histogram) for sample in group),
        "resets": 0,
    }
    empty = ("first", "first_ts", "last", "last_ts", "min", "max", "sum", "increase")
    if not numbers:
        return row | dict.fromkeys(empty)
    increase = 0.0
    for before, value in pairwise(values):
        if value < before:
            row["resets"] += 1
            increase += value
        elif value != before:
            increase += value - before
    total = sum(values)
    return row | {
        "first": values[0],
        "first_ts": numbers[0].ts_ms,
        "last": values[-1],
        "last_ts": numbers[-1].ts_ms,
        "min": min(values),
        "max": max(values),
        "sum": None if math.isnan(total) else total,
        "increase": None if math.isnan(increase) else increase,
    }
