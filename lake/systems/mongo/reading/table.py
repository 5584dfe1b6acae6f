"""A day's documents on their way into a table.

Belongs here: the steps from a server's answers to record batches. Does not: asking (reader),
any of the steps. Imported where documents are read: it takes the compiled loops with it.
"""

from __future__ import annotations

from collections.abc import Generator, Iterator
from pathlib import Path
from typing import Any

import pyarrow as pa

from lake.base.day import Day
from lake.base.errors import BadData
from lake.partition.table import TableStream
from lake.systems.mongo.config import MongoDataset
from lake.systems.mongo.reading.ahead import one_ahead
from lake.systems.mongo.reading.columns import Builder
from lake.systems.mongo.reading.layout import dictionary_columns, encodings, sorted_by
from lake.systems.mongo.reading.locate import locate
from lake.systems.mongo.reading.names import TYPING
from lake.systems.mongo.reading.schema import Learner
from lake.systems.mongo.reading.spool import Spool


class DayTable:
    """Takes answers with documents of one day, then gives them as a table, once."""

    def __init__(self, mongo_dataset: MongoDataset, day: Day, scratch: Path) -> None:
        self._settings = mongo_dataset
        self._day = day
        self._spool = Spool(scratch, day.start_ms)
        self._batches: Generator[pa.RecordBatch] | None = None

    def __enter__(self) -> DayTable:
        return self

    def __exit__(self, *error: object) -> None:
        if self._batches is not None:
            self._batches.close()
        self._spool.__exit__(*error)

    @property
    def documents(self) -> int:
        """How many were taken."""
        return self._spool.documents

    def add(self, answer: bytes) -> None:
        """Raises MalformedError, and BadData where a document is not of the day."""
        located = locate(
            answer, self._settings.time_field, or_id=bool(self._settings.time_fallback)
        )
        times = located.rows["time_ms"]
        inside = located.dated & (times >= self._day.start_ms) & (times < self._day.end_ms)
        if not inside.all():
            first = int(inside.argmin())
            raise BadData(
                "MongoDB answered with a document of another day",
                where=f"collection {self._settings.collection}",
                expected=f"{self._settings.time_field} within {self._day}",
                found=f"{times[first]} ms since 1970" if located.dated[first] else "no date",
            )
        self._spool.add(located)

    def stream(self, **details: Any) -> TableStream:
        """The table; its details are completed while it is taken."""
        learner = Learner(self._settings.time_field)
        for data, starts in self._spool.batches():
            learner.learn(data, starts)
        columns = learner.columns()
        builder = Builder(learner.paths, columns)
        all_details = {
            "documents": self.documents,
            "spooled_bytes": self._spool.size_bytes,
            "typing": TYPING,
            "left_out": {},
            **details,
        }
        self._batches = one_ahead(_batches(builder, self._spool, all_details))
        return TableStream(
            schema=builder.schema,
            batches=self._batches,
            sorted_by=sorted_by(columns, self._settings),
            encodings=encodings(columns),
            dictionary=dictionary_columns(columns),
            details=all_details,
        )


def _batches(builder: Builder, spool: Spool, details: dict[str, Any]) -> Iterator[pa.RecordBatch]:
    for data, starts in spool.batches():
        batch = builder.batch(data, starts)
        details["documents_with_rest"] = builder.tally.with_rest
        details["documents_with_raw"] = builder.tally.with_raw
        yield batch
    left_out = builder.tally.left_out.counts(builder.paths)
    details["left_out"] = left_out.paths
    if left_out.others:
        details["left_out_others"] = left_out.others
    if nan := builder.nan():
        details["nan"] = nan
