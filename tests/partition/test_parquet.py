import hashlib
import io
import subprocess
import sys

import duckdb
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lake.base.errors import TransientError
from lake.partition import parquet
from lake.partition.parquet import write_parquet
from lake.partition.table import TableStream, schema_to_json

SCHEMA = pa.schema(
    [
        pa.field("_id", pa.string(), metadata={"bson": "objectId"}),
        pa.field("llm", pa.struct([("tokens", pa.int64()), ("model", pa.string())])),
        pa.field("ok", pa.bool_()),
        pa.field("tags", pa.list_(pa.string())),
        pa.field("labels", pa.map_(pa.string(), pa.string())),
        pa.field("ts", pa.timestamp("ms", "UTC")),
        pa.field("value", pa.float64()),
    ]
)


def rows(number: int, start: int = 0) -> pa.RecordBatch:
    """Every kind of null: none in a stretch, all in another, mixed."""
    return pa.RecordBatch.from_pylist(
        [
            {
                "_id": f"{n:024x}",
                "llm": None if n % 7 == 0 else {"tokens": n if n % 5 else None, "model": "m"},
                "ok": None if 300 < n < 600 else n % 3 == 0,
                "tags": None if n % 11 == 0 else ["x" * (n % 4)] * (n % 3),
                "labels": {"a": str(n)} if n % 2 else {},
                "ts": 1_700_000_000_000 + n,
                "value": None if n > 700 else n / 3,
            }
            for n in range(start, start + number)
        ],
        schema=SCHEMA,
    )


WHOLE = rows(1000)


def cut(batch: pa.RecordBatch, lengths: list[int]):
    """The same rows as batches of these lengths; some of them copies, some slices."""
    start = 0
    for number, length in enumerate([*lengths, batch.num_rows]):
        piece = batch.slice(start, length)
        yield pa.RecordBatch.from_pylist(piece.to_pylist(), SCHEMA) if number % 2 else piece
        start += piece.num_rows


def written(batches, **options) -> tuple[parquet.Written, bytes]:
    out = io.BytesIO()
    stream = TableStream(
        SCHEMA,
        iter(batches),
        sorted_by=("ts",),
        encodings={"ts": "DELTA_BINARY_PACKED", "value": "BYTE_STREAM_SPLIT"},
        dictionary=("llm.model",),
        **options,
    )
    return write_parquet(stream, out), out.getvalue()


@settings(max_examples=25, deadline=None)
@given(st.lists(st.integers(0, 600), max_size=12))
def test_the_same_rows_give_the_same_bytes_however_they_were_cut(lengths):
    whole = WHOLE
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(parquet, "_GROUP_BYTES", 15_000)  # several groups, ended by bytes
        first, expected = written([whole])
        second, content = written(cut(whole, lengths))
    assert pq.read_metadata(io.BytesIO(expected)).num_row_groups > 2
    assert hashlib.sha256(content).digest() == hashlib.sha256(expected).digest()
    assert first == second
    assert first.sha256 == hashlib.sha256(expected).hexdigest()
    assert (first.rows, first.bytes) == (1000, len(expected))


@settings(max_examples=25, deadline=None)
@given(st.lists(st.integers(0, 999), max_size=8), st.sampled_from([512, 10_000]))
def test_whole_groups_are_taken_as_they_come(lengths, frames):
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(parquet, "_GROUP_ROWS", 512)
        patch.setattr(parquet, "_GROUP_BYTES", 4 * frames * 40)  # one of them ends by bytes
        _, expected = written([WHOLE])
        _, content = written(cut(WHOLE, lengths))
    assert content == expected


def test_codes_are_written_as_what_they_stand_for():
    texts = pa.array(["a", None, "b", "a"] * 300)
    codes = texts.dictionary_encode()
    tables = []
    for column in (texts, codes):
        batch = pa.record_batch([column], ["label"])
        out = io.BytesIO()
        result = write_parquet(TableStream(batch.schema, iter([batch]), dictionary=("label",)), out)
        assert result.schema == pa.schema([("label", pa.string())])
        tables.append(pq.read_table(io.BytesIO(out.getvalue())))
    assert tables[0].schema == tables[1].schema
    assert tables[0].equals(tables[1])


def test_rows_come_back_and_duckdb_agrees(tmp_path):
    whole = rows(1000)
    _, data = written([whole])
    table = pq.read_table(io.BytesIO(data))
    assert table.to_pylist() == whole.to_pylist()
    assert table.schema.equals(SCHEMA, check_metadata=False)
    assert table.schema.field("_id").metadata[b"bson"] == b"objectId"
    path = tmp_path / "data.parquet"
    path.write_bytes(data)
    expected = sum(row["value"] or 0 for row in whole.to_pylist())
    answer = (
        duckdb.connect()
        .sql(f"SELECT count(*), sum(value), count(llm.tokens) FROM '{path}'")
        .fetchone()
    )
    tokens = sum(bool(r["llm"] and r["llm"]["tokens"] is not None) for r in whole.to_pylist())
    assert answer == (1000, pytest.approx(expected), tokens)


def test_encodings_order_and_page_index_are_in_the_file():
    _, data = written([rows(1000)])
    group = pq.read_metadata(io.BytesIO(data)).row_group(0)
    columns = {group.column(n).path_in_schema: group.column(n) for n in range(group.num_columns)}
    assert "DELTA_BINARY_PACKED" in columns["ts"].encodings
    assert "BYTE_STREAM_SPLIT" in columns["value"].encodings
    assert "RLE_DICTIONARY" in columns["llm.model"].encodings
    assert "RLE_DICTIONARY" not in columns["_id"].encodings
    assert all(column.compression == "ZSTD" for column in columns.values())
    assert all(column.has_offset_index and column.has_column_index for column in columns.values())
    # The index counts leaves: `llm` has two of them before `ts`.
    (order,) = group.sorting_columns
    assert group.column(order.column_index).path_in_schema == "ts"
    assert not order.descending


def test_a_column_of_few_bytes_is_one_page():
    """Not a page each 20,000 rows, with a header and statistics of its own."""
    batch = pa.record_batch({"value": pa.repeat(1.5, 131_072)})
    out = io.BytesIO()
    write_parquet(TableStream(batch.schema, iter([batch]), dictionary=("value",)), out)
    group = pq.read_metadata(out).row_group(0)
    assert group.num_rows == 131_072
    assert group.column(0).total_compressed_size < 150


def test_row_groups_end_by_rows(monkeypatch):
    monkeypatch.setattr(parquet, "_GROUP_ROWS", 512)
    _, data = written([rows(1100)])
    meta = pq.read_metadata(io.BytesIO(data))
    assert [meta.row_group(n).num_rows for n in range(meta.num_row_groups)] == [512, 512, 76]


@pytest.mark.parametrize("batches", [[], [rows(0)], [rows(0), rows(0)]])
def test_no_rows_make_an_object_with_its_schema(batches, tmp_path):
    result, data = written(batches)
    assert result.rows == 0
    assert pq.read_schema(io.BytesIO(data)).names == SCHEMA.names
    path = tmp_path / "empty.parquet"
    path.write_bytes(data)
    assert duckdb.connect().sql(f"SELECT count(*) FROM '{path}'").fetchone() == (0,)
    described = duckdb.connect().sql(f"DESCRIBE SELECT * FROM '{path}'").fetchall()
    assert [name for name, *_ in described] == SCHEMA.names


def test_what_the_stream_and_the_upload_raise_comes_through():
    def broken():
        yield rows(10)
        raise TransientError("the source went away")

    with pytest.raises(TransientError, match="the source went away"):
        written(broken())

    class Full:
        def write(self, data):
            raise TransientError("the store went away")

    stream = TableStream(SCHEMA, iter([rows(10)]))
    with pytest.raises(TransientError, match="the store went away"):
        write_parquet(stream, Full())


def test_a_column_to_sort_by_has_to_exist():
    with pytest.raises(ValueError, match="nothing"):
        write_parquet(TableStream(SCHEMA, iter([]), sorted_by=("nothing",)), io.BytesIO())


MEMORY = """
import os, resource
import pyarrow as pa
from lake.partition.parquet import write_parquet
from lake.partition.table import TableStream

class Nowhere:
    def write(self, data):
        return len(data)

schema = pa.schema([("line", pa.binary(500))])

def batches(count):
    for _ in range(count):  # 2.5 MB each, nothing repeats
        buffers = [None, pa.py_buffer(os.urandom(2_500_000))]
        yield pa.record_batch([pa.Array.from_buffers(pa.binary(500), 5000, buffers)], schema=schema)

def peak_mb(count):
    write_parquet(TableStream(schema, batches(count)), Nowhere())
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024

small, large = peak_mb(60), peak_mb(240)
assert large - small < 120, (small, large)  # 600 MB went through
"""


@pytest.mark.slow
def test_memory_does_not_grow_with_the_day():
    done = subprocess.run(
        [sys.executable, "-c", MEMORY], check=False, capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr


def test_the_schema_as_json():
    fields = schema_to_json(SCHEMA)
    assert fields[0] == {"name": "_id", "type": "string", "metadata": {"bson": "objectId"}}
    assert fields[1]["fields"][0] == {"name": "tokens", "type": "int64"}
    assert fields[3]["item"]["type"] == "string"
    assert fields[4] == {
        "name": "labels",
        "type": "map",
        "key": {"type": "string"},
        "value": {"type": "string"},
    }
    assert fields[5]["type"] == "timestamp[ms, tz=UTC]"
