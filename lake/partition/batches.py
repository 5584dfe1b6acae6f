"""The rows of a Parquet file in batches of bounded size.

Belongs here: reading. Does not: fetching objects (content), writing (parquet).
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import pyarrow as pa
    import pyarrow.parquet as pq


def batches_in(parquet: pq.ParquetFile, rows: int) -> Iterator[pa.RecordBatch]:
    """At most `rows` at a time, none across two row groups, which are bounded in bytes.

    Arrow's own batches go on in the next row group: 65,536 documents of 100 KB are 6.5 GB.
    """
    for group in range(parquet.num_row_groups):
        yield from parquet.iter_batches(rows, row_groups=[group])
