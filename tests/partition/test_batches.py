"""Batches of a file are no larger than its row groups."""

import io

import pyarrow as pa
import pyarrow.parquet as pq

from lake.partition.batches import batches_in


def test_no_batch_has_rows_of_two_groups():
    file = io.BytesIO()
    pq.write_table(pa.table({"n": range(100)}), file, row_group_size=30)
    batches = list(batches_in(pq.ParquetFile(file), 20))
    assert [batch.num_rows for batch in batches] == [20, 10, 20, 10, 20, 10, 10]
    assert pa.Table.from_batches(batches)["n"].to_pylist() == list(range(100))


def test_a_file_without_rows_has_no_batch():
    file = io.BytesIO()
    pq.write_table(pa.table({"n": pa.array([], pa.int64())}), file)
    assert sum(batch.num_rows for batch in batches_in(pq.ParquetFile(file), 20)) == 0
