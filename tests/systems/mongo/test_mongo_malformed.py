"""Bytes that are no BSON: never taken for what they are not, never read beyond their end."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import bson
import pyarrow as pa
import pytest
from bson.codec_options import CodecOptions, DatetimeConversion
from hypothesis import given, settings
from hypothesis import strategies as st
from support.bson_values import plain
from support.mongo_tables import stream
from support.strategies import date, document, integer, odd_days

from lake.systems.mongo.reading.elements import MalformedError
from lake.systems.mongo.reading.locate import locate
from lake.systems.mongo.reading.rebuild import rebuild

OPTIONS: CodecOptions[dict[str, object]] = CodecOptions(
    datetime_conversion=DatetimeConversion.DATETIME_MS
)
GOOD = document([(b"_id", integer(7)), (b"timestamp", date(0)), (b"n", integer(1))])


@st.composite
def broken(draw: st.DrawFn) -> bytes:
    """A document with some bytes replaced; its own length is left as it is."""
    content = bytearray(draw(odd_days.map(lambda day: day[0])))
    for _ in range(draw(st.integers(1, 3))):
        place = draw(st.integers(4, len(content) - 1))
        content[place] = draw(st.one_of(st.sampled_from([0, 1, 2, 3, 4, 5, 0x7F, 0xFF]),
                                    st.integers(0, 255)))  # fmt: skip
    return bytes(content)


def is_bson(data: bytes) -> bool:
    try:
        bson.decode(data, OPTIONS)
    except bson.errors.InvalidBSON:
        return False
    return True


@pytest.mark.slow
@given(broken())
@settings(max_examples=120, deadline=None)
def test_what_is_no_bson_is_kept_as_it_is(data: bytes) -> None:
    answer = stream([GOOD, data, GOOD])
    table = pa.Table.from_batches(list(answer.batches), answer.schema)
    rows = table.to_pylist()
    assert [plain(rebuild(row, table.schema)) for row in (rows[0], rows[2])] == [plain(GOOD)] * 2
    if rows[1]["_raw"] is not None:
        assert rows[1]["_raw"] == data
    else:
        assert is_bson(data)
        assert plain(rebuild(rows[1], table.schema)) == plain(data)


@given(broken(), st.integers(0, 3))
@settings(max_examples=100, deadline=None)
def test_an_answer_is_taken_apart_or_refused(data: bytes, cut: int) -> None:
    whole = GOOD + data[: len(data) - cut]
    try:
        located = locate(whole, "timestamp", or_id=False)
    except MalformedError:
        return
    assert cut == 0
    assert located.rows["begin"].tolist() == [0, len(GOOD)]
    assert located.rows["size"].tolist() == [len(GOOD), len(data)]


@pytest.mark.parametrize(
    "answer",
    [b"\0", b"\4\0\0\0\0", b"\xff\xff\xff\xff\0", GOOD[:-1], GOOD + b"\5\0\0", GOOD[:-1] + b"\1"],
)
def test_answers_that_are_cut_or_torn(answer: bytes) -> None:
    with pytest.raises(MalformedError):
        locate(answer, "other", or_id=False)


@pytest.mark.slow
def test_no_byte_beyond_the_end_is_read() -> None:
    """The batch ends where a page ends that may not be touched: reading on is a SIGSEGV."""
    script = Path(__file__).parents[2] / "support/at_the_edge.py"
    done = subprocess.run([sys.executable, script], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert int(done.stdout.split()[0]) > 1000
