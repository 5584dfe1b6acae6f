"""Loads, comparisons and varints of compiled code, against Python's own."""

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from lake.base.protobuf import varint
from lake.compiled import (
    BOOL,
    BYTES,
    I64,
    U8S,
    U64,
    compiled,
    equal_bytes,
    load32,
    load32_big,
    load64,
    load_int32,
    load_tail,
    load_word,
    load_word_big,
    read_only,
    read_varint,
    several,
    starts_with,
    write_varint,
)


@compiled(several(I64, I64, I64, I64, U64, U64)(BYTES, I64))
def loads(data, at):
    return (
        load32(data, at),
        load_int32(data, at),
        load32_big(data, at),
        load64(data, at),
        load_word(data, at),
        load_word_big(data, at),
    )


@compiled(U64(BYTES, I64, I64))
def tail(data, at, size):
    return load_tail(data, at, size)


@compiled(BOOL(BYTES, I64, BYTES, I64, I64))
def equal(data, at, others, other_at, size):
    return equal_bytes(data, at, others, other_at, size)


@compiled(BOOL(BYTES, I64, BYTES))
def starts(text, at, pattern):
    return starts_with(text, at, pattern)


@compiled(I64(U8S, I64, U64))
def write(out, at, number):
    return write_varint(out, at, number)


@compiled(several(I64, I64)(BYTES, I64, I64))
def read(data, at, end):
    return read_varint(data, at, end)


@given(st.binary(min_size=8, max_size=40), st.data())
def test_loads(data, draw):
    at = draw.draw(st.integers(0, len(data) - 8))
    four, eight = data[at : at + 4], data[at : at + 8]
    assert loads(read_only(data), at) == (
        int.from_bytes(four, "little"),
        int.from_bytes(four, "little", signed=True),
        int.from_bytes(four, "big"),
        int.from_bytes(eight, "little", signed=True),
        int.from_bytes(eight, "little"),
        int.from_bytes(eight, "big"),
    )


@given(st.binary(min_size=1, max_size=20), st.data())
def test_tail(data, draw):
    size = draw.draw(st.integers(0, min(7, len(data))))
    at = draw.draw(st.integers(0, len(data) - size))
    assert tail(read_only(data), at, size) == int.from_bytes(data[at : at + size], "little")


@given(st.binary(min_size=1, max_size=30), st.binary(max_size=3), st.data())
def test_comparisons(data, before, draw):
    at = draw.draw(st.integers(0, len(data) - 1))
    size = draw.draw(st.integers(0, len(data) - at))
    others = bytearray(before + data[at : at + size] + b"\x00")
    assert equal(read_only(data), at, read_only(bytes(others)), len(before), size)
    pattern = data[at : at + size]
    if pattern:
        assert starts(read_only(data), at, read_only(pattern))
        assert not starts(read_only(data), len(data), read_only(pattern))
        changed = draw.draw(st.integers(0, size - 1))
        others[len(before) + changed] ^= 1 << draw.draw(st.integers(0, 7))
        assert not equal(read_only(data), at, read_only(bytes(others)), len(before), size)
        other = bytes(others[len(before) : len(before) + size])
        assert not starts(read_only(data), at, read_only(other))


@given(st.integers(0, 2**64 - 1), st.integers(0, 3))
def test_varints(number, at):
    out = np.zeros(20, np.uint8)
    end = write(out, at, np.uint64(number))
    assert out[at:end].tobytes() == varint(number)
    value, stop = read(out, at, len(out))
    assert (value % 2**64, stop) == (number, end)
    assert read(out, at, end - 1)[1] == -1


def test_a_varint_without_end():
    assert read(read_only(b"\xff" * 12), 0, 12)[1] == -1
