"""A source at the seam: rows by day in memory, and whatever fault a test sets."""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pyarrow as pa

from lake.base.day import Day
from lake.config.datasets import Dataset
from lake.partition.table import TableStream
from lake.systems.mongo.reading.names import TYPING
from lake.systems.source import MERGED_LINES, Count
from support.left_behind import left_in

SCHEMA = pa.schema([("_id", pa.int64()), ("text", pa.string())])


@dataclass
class FakeSource:
    """`rows[day]` is how many rows the day has; `counts[day]` what the source says, if else.

    `faults[day]` is raised after the first batch has been read. `undated_rows` may be an
    error, too. `calls` lists what was called, in order.
    """

    rows: dict[str, int] = field(default_factory=dict)
    counts: dict[str, Iterator[int]] = field(default_factory=dict)
    faults: dict[str, BaseException] = field(default_factory=dict)
    undated_rows: int | BaseException | None = 0
    merged_lines: int = 0
    left_out: dict[str, dict[str, int]] = field(default_factory=dict)
    unseen_streams: dict[str, int] = field(default_factory=dict)
    lateness_days: int = 1
    may_count_low: bool = False
    calls: list[tuple[str, str]] = field(default_factory=list)
    batch_rows: int = 1000

    def counted(self, day: str, *answers: int) -> None:
        """What the next counts say; the last one for ever."""
        self.counts[day] = itertools.chain(answers, itertools.repeat(answers[-1]))

    @contextmanager
    def read(self, dataset: Dataset, day: Day, scratch: Path) -> Iterator[TableStream]:
        self.calls.append(("read", str(day)))
        assert left_in(scratch) == []
        details: dict[str, Any] = {"typing": TYPING}  # as MongoDB's days have it
        details |= {MERGED_LINES: self.merged_lines} if self.merged_lines else {}
        if str(day) in self.left_out:
            details["left_out"] = self.left_out[str(day)]
        yield TableStream(
            SCHEMA, self._batches(str(day), details), sorted_by=("_id",), details=details
        )

    def _batches(self, day: str, details: dict[str, Any]) -> Iterator[pa.RecordBatch]:
        number = self.rows.get(day, 0)
        for start in range(0, number, self.batch_rows):
            ids = range(start, min(number, start + self.batch_rows))
            yield pa.record_batch([pa.array(ids), [f"{day} {n}" for n in ids]], schema=SCHEMA)
            if day in self.faults:
                raise self.faults[day]
        if day in self.faults:
            raise self.faults[day]
        details["batches"] = -(-number // self.batch_rows)

    def count(self, dataset: Dataset, day: Day) -> Count:
        self.calls.append(("count", str(day)))
        answers = self.counts.get(str(day))
        return Count(next(answers) if answers else self.rows.get(str(day), 0), "asked the fake")

    def undated(self, dataset: Dataset) -> int | None:
        if isinstance(self.undated_rows, BaseException):
            raise self.undated_rows
        return self.undated_rows

    def outside(self, dataset: Dataset, start: Day, end: Day) -> int | None:
        """Those of `rows` whose days are outside."""
        return sum(n for day, n in self.rows.items() if not start <= Day.parse(day) < end)

    def unseen(self, dataset: Dataset, day: Day) -> int:
        return self.unseen_streams.get(str(day), 0)

    def stop(self) -> None:
        self.calls.append(("stop", ""))

    def close(self) -> None:
        self.calls.append(("close", ""))
