"""The columns of a Loki partition.

Belongs here: names, types, order and encodings, and how rows get their streams' labels.
Does not: reading rows.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np
import pyarrow as pa

from lake.partition.table import TableStream
from lake.systems.labels import column_names, label_arrays, label_fields
from lake.systems.loki.reading.answer import METADATA

_FIXED = ("day", "ts", "ts_ns", "stream_id", "line", "labels", "metadata")
_ENCODINGS = {
    "ts": "DELTA_BINARY_PACKED",
    "ts_ns": "DELTA_BINARY_PACKED",
    "line": "DELTA_BYTE_ARRAY",  # a stream's lines begin alike
    "metadata.key_value.value": "DELTA_LENGTH_BYTE_ARRAY",
}
# Half a second more for 90 MB of lines than level 1, which is larger by a tenth; 3 is worse
# than either. What else there is hardly shrinks.
ZSTD_LEVELS = {"line": 9}
_DICTIONARIES = (
    "stream_id",
    "labels.key_value.key",
    "labels.key_value.value",
    "metadata.key_value.key",  # values such as trace ids are rarely the same
)


def partition(
    rows: Iterator[pa.RecordBatch],
    streams: Mapping[int, Mapping[str, str]],
    details: dict[str, Any],
) -> TableStream:
    """The partition of rows (schema ROWS) that are sorted by stream and time."""
    columns = column_names((name for labels in streams.values() for name in labels), _FIXED)
    *own, rest = label_fields(columns)
    schema = pa.schema(
        [
            pa.field("ts", pa.timestamp("us", "UTC")),
            pa.field("ts_ns", pa.int64()),
            pa.field("stream_id", pa.int64()),
            pa.field("line", pa.string()),
            *own,
            rest,
            pa.field("metadata", METADATA),
        ]
    )
    return TableStream(
        schema=schema,
        batches=_batches(rows, streams, columns, schema),
        sorted_by=("stream_id", "ts_ns"),
        encodings=_ENCODINGS,
        dictionary=(*_DICTIONARIES, *columns),
        zstd_levels=ZSTD_LEVELS,
        details=details,
    )


def _batches(
    rows: Iterator[pa.RecordBatch],
    streams: Mapping[int, Mapping[str, str]],
    columns: tuple[str, ...],
    schema: pa.Schema,
) -> Iterator[pa.RecordBatch]:
    ids = np.array(sorted(streams), np.int64)
    labels = label_arrays([streams[number] for number in ids.tolist()], columns)
    for batch in rows:
        which = pa.array(np.searchsorted(ids, batch["stream_id"].to_numpy()))
        ts_us = batch["ts_ns"].to_numpy() // 1000  # floors, before 1970 too
        yield pa.record_batch(
            [
                pa.array(ts_us).cast(schema.field("ts").type),
                batch["ts_ns"],
                batch["stream_id"],
                batch["line"],
                *(array.take(which) for array in labels),
                batch["metadata"],
            ],
            schema=schema,
        )
