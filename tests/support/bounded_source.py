"""Prometheus and Loki in memory, with a retention: rows older than it are gone.

Belongs here: their rows in the tables' schemas, errors that a test sets. Does not: claims, the
servers' APIs (the tests of each system have real ones).
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pyarrow as pa

from lake.base.day import Day
from lake.base.errors import LakeError
from lake.config.datasets import Dataset
from lake.partition.table import TableStream
from lake.systems.prometheus.reading.answer import HISTOGRAM_TYPE
from lake.systems.source import Count

_MAP = pa.map_(pa.string(), pa.string())
_SCHEMAS = {
    "prometheus": pa.schema(
        [
            ("ts", pa.timestamp("ms", tz="UTC")),
            ("metric", pa.string()),
            ("value", pa.float64()),
            ("nan", pa.string()),
            ("series_id", pa.int64()),
            ("histogram", HISTOGRAM_TYPE),
            ("job", pa.string()),
            ("labels", _MAP),
        ]
    ),
    "loki": pa.schema(
        [
            ("ts", pa.timestamp("us", tz="UTC")),
            ("ts_ns", pa.int64()),
            ("stream_id", pa.int64()),
            ("line", pa.string()),
            ("job", pa.string()),
            ("labels", _MAP),
            ("metadata", _MAP),
        ]
    ),
}


def id_of(system: str, row: dict[str, Any]) -> int:
    """The number by which a row is known, from a stored row."""
    return int(row["value"]) if system == "prometheus" else int(row["line"].split()[1])


@dataclass
class BoundedSource:
    """`rows`: by number their time. `error` is raised by every request while it is set."""

    system: str
    lateness_days: int
    rows: dict[int, dt.datetime] = field(default_factory=dict)
    error: LakeError | None = None
    may_count_low: bool = False

    def forget_before(self, when: dt.datetime) -> set[int]:
        """What its retention deletes."""
        gone = {number for number, at in self.rows.items() if at < when}
        for number in gone:
            del self.rows[number]
        return gone

    def _of(self, day: Day) -> list[tuple[dt.datetime, int]]:
        if self.error:
            raise self.error
        return sorted((at, number) for number, at in self.rows.items() if Day(at.date()) == day)

    @contextmanager
    def read(self, dataset: Dataset, day: Day, scratch: Path) -> Iterator[TableStream]:
        make: Callable[[dt.datetime, int], dict[str, Any]]
        make = _sample if self.system == "prometheus" else _line
        schema = _SCHEMAS[self.system]
        rows = [make(at, number) for at, number in self._of(day)]
        batch = pa.RecordBatch.from_pylist(rows, schema)
        key = "series_id" if self.system == "prometheus" else "stream_id"
        yield TableStream(schema, iter([batch] if rows else []), sorted_by=(key, "ts"))

    def count(self, dataset: Dataset, day: Day) -> Count:
        return Count(len(self._of(day)), "counted in memory")

    def undated(self, dataset: Dataset) -> None:
        return None

    def outside(self, dataset: Dataset, start: Day, end: Day) -> None:
        return None

    def unseen(self, dataset: Dataset, day: Day) -> int:
        return 0

    def stop(self) -> None:
        pass

    def close(self) -> None:
        pass


def _sample(at: dt.datetime, number: int) -> dict[str, Any]:
    labels: dict[str, str] = {}
    return {"ts": at, "metric": "up", "value": float(number), "series_id": 7, "job": "a"} | {
        "labels": labels
    }


def _line(at: dt.datetime, number: int) -> dict[str, Any]:
    ts_ns = int(at.timestamp()) * 10**9
    empty: dict[str, str] = {}
    return {"ts": at, "ts_ns": ts_ns, "stream_id": 7, "line": f"line {number}", "job": "a"} | {
        "labels": empty,
        "metadata": empty,
    }
