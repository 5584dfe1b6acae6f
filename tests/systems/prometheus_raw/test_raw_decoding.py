"""The compiled readers: what an independent writer made, and what was damaged afterwards."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from support.chunk_writing import XOR, chunk, crc32c, frame, message, xor_chunk
from support.remote_writing import varint

from lake.base.errors import BadData, LakeError, TransientError
from lake.systems.prometheus.reading.remote_read import message_loops, sample_loops
from lake.systems.prometheus.reading.remote_read.request import SAMPLED, STREAMED
from lake.systems.prometheus.reading.remote_read.stream import Spooler

WHOLE_TIME = (-(2**62), 2**62)
BITS = st.integers(0, 2**64 - 1) | st.integers(0, 2**20).map(lambda n: n << 36)
STEPS = st.integers(14_000, 16_000) | st.integers(-600_000, 600_000) | st.integers(-(2**40), 2**40)


@st.composite
def samples(draw):
    at, points = draw(st.integers(-(2**41), 2**41)), []
    for step, value in draw(st.lists(st.tuples(STEPS, BITS), max_size=130)):
        points.append((at, value))
        # The second distance is written without a sign.
        at += abs(step) if len(points) == 1 else step
    return points


def decoded(data: bytes, count: int, room: int | None = None):
    ts, values = np.zeros(room or count, np.int64), np.zeros(room or count, np.uint64)
    code, filled = sample_loops.xor_chunk(
        np.frombuffer(bytearray(data), np.uint8), 0, len(data), count, *WHOLE_TIME, ts, values, 0
    )
    return code, list(zip(ts[:filled].tolist(), values[:filled].tolist(), strict=True))


@settings(deadline=None)
@given(samples())
def test_a_chunk_gives_back_what_was_written(written):
    assert decoded(xor_chunk(written), len(written)) == (message_loops.OK, written)


@settings(deadline=None)
@given(samples().filter(len), st.data())
def test_a_chunk_that_is_cut_is_told(written, data):
    whole = xor_chunk(written)
    cut = whole[: data.draw(st.integers(2, len(whole) - 1))]
    assert decoded(cut, len(written))[0] == message_loops.BAD_CHUNK


@settings(max_examples=300, deadline=None)
@given(samples().filter(len), st.data())
def test_a_damaged_chunk_is_told_or_gives_as_many_samples(written, data):
    damaged = bytearray(xor_chunk(written))
    for _ in range(data.draw(st.integers(1, 8))):
        bit = data.draw(st.integers(16, 8 * len(damaged) - 1))
        damaged[bit // 8] ^= 1 << bit % 8
    code, points = decoded(bytes(damaged), len(written))
    assert code in (message_loops.OK, message_loops.BAD_CHUNK)
    assert len(points) <= len(written)


def test_no_more_samples_than_there_is_room_for():
    written = [(15_000 * i, i) for i in range(10)]
    assert decoded(xor_chunk(written), 10, room=9)[0] == message_loops.BAD_CHUNK


@settings(deadline=None)
@given(st.binary(max_size=100))
def test_checksums(data):
    array = np.frombuffer(bytearray(data), np.uint8)
    assert message_loops.crc32c(array, 0, len(array), message_loops.CRC_TABLES) == crc32c(data)


def test_the_checksum_that_everyone_tests():
    assert crc32c(b"123456789") == 0xE3069283  # RFC 3720, appendix B.4's polynomial


def spooled(tmp_path: Path, body: bytes, cuts: list[int], kind: str = STREAMED):
    spooler = Spooler(tmp_path / "spool", "http://x")
    spooler.begin({"Content-Type": kind})
    for start, stop in zip([0, *cuts], [*cuts, len(body)], strict=True):
        spooler.feed(body[start:stop])
    spooler.end()
    return spooler.spool


SERIES = [
    ({"__name__": "m", "i": str(number // 2)},  # every series in two frames
     [chunk(XOR, xor_chunk([(1000 * k, number)])) for k in range(3)])
    for number in range(10)
]  # fmt: skip
BODY = b"".join(frame(message(labels, chunks)) for labels, chunks in SERIES)


@settings(deadline=None)
@given(st.lists(st.integers(0, len(BODY)), max_size=20).map(sorted))
def test_pieces_of_any_length(tmp_path_factory, cuts):
    tmp_path = tmp_path_factory.getbasetemp()
    spool = spooled(tmp_path, BODY, cuts)
    assert len(spool.labels) == 5
    assert list(spool.samples) == [6] * 5
    assert spool.path.read_bytes() == b"".join(b"".join(chunks) for _, chunks in SERIES)


@settings(deadline=None)
@given(st.integers(1, len(BODY) - 1))
def test_a_body_that_ends_early_is_told(tmp_path_factory, length):
    tmp_path = tmp_path_factory.getbasetemp()
    ends, at = set(), 0
    for labels, chunks in SERIES:
        at += len(frame(message(labels, chunks)))
        ends.add(at)
    if length in ends:  # between two frames nothing tells: the count will
        spooled(tmp_path, BODY[:length], [])
    else:
        with pytest.raises(TransientError, match="was cut off"):
            spooled(tmp_path, BODY[:length], [])


@settings(deadline=None)
@given(st.integers(0, 8 * len(BODY) - 1))
def test_a_flipped_bit_is_told(tmp_path_factory, bit):
    damaged = bytearray(BODY)
    damaged[bit // 8] ^= 1 << bit % 8
    with pytest.raises(TransientError):
        spooled(tmp_path_factory.getbasetemp(), bytes(damaged), [])


@settings(max_examples=300, deadline=None)
@given(st.data())
def test_a_damaged_message_with_a_right_checksum(tmp_path_factory, data):
    damaged = bytearray(message(*SERIES[3]))
    for _ in range(data.draw(st.integers(1, 5))):
        damaged[data.draw(st.integers(0, len(damaged) - 1))] = data.draw(st.integers(0, 255))
    try:
        spool = spooled(tmp_path_factory.getbasetemp(), frame(bytes(damaged)), [])
    except LakeError:
        return
    assert len(spool.path.read_bytes()) <= len(damaged)


@pytest.mark.parametrize("encoding", [0, 4, 5, 6, 77, 2**40, 2**63])
def test_encodings_that_are_not_known_are_errors(tmp_path, encoding):
    body = frame(message({"__name__": "m"}, [chunk(encoding, xor_chunk([(1, 2)]))]))
    with pytest.raises(BadData, match=r"(?s)encoding.*XOR.*storage\.tsdb\.chunk_encoding"):
        spooled(tmp_path, body, [])


def test_a_message_of_a_server_that_failed_half_way(tmp_path):
    """2.x writes the error's text after the frames."""
    with pytest.raises(TransientError, match=r"(?s)checksum.*context deadline exceeded"):
        spooled(tmp_path, BODY + b"context deadline exceeded, and more of it\n" * 5, [])


def test_a_short_message_of_a_server_that_failed_half_way(tmp_path):
    """Its first letter is the length of a frame that is longer than the text."""
    text = b"iterate chunk: detected unexpected counter reset in histogram\n"
    assert text[0] > len(text)
    with pytest.raises(TransientError, match=r"(?s)cut off.*detected unexpected counter reset"):
        spooled(tmp_path, BODY + text, [])


def test_a_frame_of_a_length_that_no_server_sends(tmp_path):
    with pytest.raises(TransientError, match="damaged"):
        spooled(tmp_path, varint(2**40) + bytes(100), [])


def test_something_else_answers(tmp_path):
    with pytest.raises(BadData, match=r"(?s)x-streamed-protobuf.*text/html"):
        spooled(tmp_path, b"<html>", [], "text/html; charset=utf-8")


@pytest.mark.parametrize("body", [b"", b"\xff" * 12, b"\x05\x20hello", varint(2**40)])
def test_a_sampled_body_that_is_no_snappy(tmp_path, body):
    with pytest.raises(TransientError, match="snappy"):
        spooled(tmp_path, body, [], SAMPLED)


def test_a_sampled_body_that_is_no_answer(tmp_path):
    with pytest.raises(BadData, match="can't be read"):
        spooled(tmp_path, b"\x05\x10hello", [], SAMPLED)


@pytest.mark.slow
def test_nothing_is_read_outside_of_its_array(tmp_path):
    """Everything above once more, compiled with checks of each index."""
    environment = {**os.environ, "NUMBA_BOUNDSCHECK": "1", "NUMBA_CACHE_DIR": str(tmp_path)}
    command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", __file__,
               "-k", "not outside"]  # fmt: skip
    done = subprocess.run(
        command, check=False, env=environment, capture_output=True, text=True, timeout=200
    )
    assert done.returncode == 0, done.stdout
