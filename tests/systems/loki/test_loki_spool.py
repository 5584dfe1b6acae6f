"""Rows spooled in runs come back in the order of the table, each once."""

from __future__ import annotations

import tempfile
from itertools import pairwise
from pathlib import Path

import pyarrow as pa
from hypothesis import given, settings
from hypothesis import strategies as st

from lake.systems.loki.reading import spool
from lake.systems.loki.reading.answer import ROWS
from lake.systems.loki.reading.spool import RunWriter, Spool, Stretch

rows = st.lists(st.tuples(st.integers(-3, 3), st.integers(0, 99)), max_size=80)
"""stream, time"""
Entry = tuple[int, int, int]
"""stream, time, number in the order of arrival"""


def add(writer: RunWriter, entries: list[Entry]) -> None:
    columns = [
        pa.array([stream for stream, _, _ in entries], pa.int64()),
        pa.array([time for _, time, _ in entries], pa.int64()),
        pa.array([f"line {number}" for _, _, number in entries], pa.string()),
        pa.array([[("number", f"{number}")] for _, _, number in entries], ROWS.types[3]),
    ]
    writer.add(pa.table(columns, schema=ROWS))


def write(path: Path, entries: list[Entry], table_rows: int) -> Stretch:
    """Very short runs, of tables that never end within a time, as is so with pages."""
    writer = RunWriter(path, run_bytes=600)
    held: list[Entry] = []
    for number, entry in enumerate(entries, start=1):
        held.append(entry)
        ended = number == len(entries) or entries[number][1] != entry[1]
        if ended and len(held) >= table_rows:
            add(writer, held)
            held = []
    add(writer, held)
    return writer.close()


@given(
    kept=rows,
    late=rows,
    cuts=st.sets(st.integers(0, 99), max_size=3),
    table_rows=st.integers(1, 30),
    read_bytes=st.sampled_from([1, 200, 1 << 16]),
    start=st.integers(0, 99),
    length=st.integers(0, 50),
)
@settings(max_examples=150, deadline=None)
def test_rows_come_back_sorted_and_are_counted(
    kept: list[tuple[int, int]],
    late: list[tuple[int, int]],
    cuts: set[int],
    table_rows: int,
    read_bytes: int,
    start: int,
    length: int,
) -> None:
    by_time = sorted(kept, key=lambda entry: entry[1])
    arrived = sorted(late, key=lambda entry: entry[1]) + by_time
    numbered = [(stream, time, number) for number, (stream, time) in enumerate(arrived)]
    found_late, on_time = numbered[: len(late)], numbered[len(late) :]
    edges = [0, *sorted(cuts), 100]
    usual, spool._READ_BYTES = spool._READ_BYTES, read_bytes
    try:
        with tempfile.TemporaryDirectory() as folder:
            stretches = [write(Path(folder) / "late", found_late, 1000)]
            for number, (low, high) in enumerate(pairwise(edges)):
                part = [entry for entry in on_time if low <= entry[1] < high]
                stretches.append(write(Path(folder) / f"{number}", part, table_rows))
            whole = Spool(stretches)
            table = pa.Table.from_batches(whole.sorted_batches(), ROWS)
            between = whole.between(start, start + length)
            count = whole.count(start, start + length)
    finally:
        spool._READ_BYTES = usual
    expected = sorted(numbered)  # by stream, time, and then in the order of arrival
    assert [(r["stream_id"], r["ts_ns"], r["line"]) for r in table.to_pylist()] == [
        (stream, time, f"line {number}") for stream, time, number in expected
    ]
    assert [dict(m)["number"] for m in table["metadata"].to_pylist()] == [
        f"{number}" for _, _, number in expected
    ]
    inside = sorted(f"line {n}" for _, time, n in numbered if start <= time < start + length)
    assert sorted(between["line"].to_pylist()) == inside
    assert count == len(inside)
