"""Documents as the table that MongoDB's reader makes of them, and a dataset to read them by."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pyarrow as pa

from lake.partition.table import TableStream
from lake.systems.mongo.config import MongoDataset
from lake.systems.mongo.reading.columns import Builder
from lake.systems.mongo.reading.layout import dictionary_columns, encodings
from lake.systems.mongo.reading.schema import Learner


def dataset(**fields: str) -> MongoDataset:
    return MongoDataset(name="events", source="mongo", **{"collection": "events", **fields})


def stream(documents: list[bytes], time_field: str = "timestamp") -> TableStream:
    half = len(documents) // 2
    pieces = [part for part in (documents[:half], documents[half:]) if part]
    batches = [(b"".join(p), [sum(map(len, p[:i])) for i in range(len(p))]) for p in pieces]
    learner = Learner(time_field)
    for data, starts in batches:
        learner.learn(data, starts)
    columns = learner.columns()
    builder = Builder(learner.paths, columns)
    details: dict[str, Any] = {}

    def built() -> Iterator[pa.RecordBatch]:
        for data, starts in batches:
            yield builder.batch(data, starts)
        details["left_out"] = builder.tally.left_out.counts(builder.paths).paths

    return TableStream(
        schema=builder.schema,
        batches=built(),
        encodings=encodings(columns),
        dictionary=dictionary_columns(columns),
        details=details,
    )
