"""The compiled loops of a fingerprint.

Belongs here: MurmurHash3_x64_128 (Austin Appleby, public domain) of a path's 16 bytes and
a value's, over Arrow's buffers. Does not: which buffers an Arrow type has (fingerprint).

In all of them `valid`, `bit` and `nulls` are a validity bitmap, the bit of the first value, and
whether there is a bitmap at all; `path` is a path's hash as two words; `sums` is (values, 2).
"""

# Types are in numba's signatures, which mypy does not read.
# mypy: ignore-errors
# ruff: noqa: ANN001, ANN201, ANN202
from __future__ import annotations

from typing import Any

import numpy as np

from lake.compiled import (
    BOOL,
    BYTES,
    I64,
    READ_I32S,
    READ_I64S,
    READ_U64S,
    U64,
    U64_ROWS,
    VOID,
    compiled,
    equal_bytes,
    inlined,
    load_tail,
    load_word,
    several,
)

Words = Any  # uint64 arrays; numba's own types are in the signatures

_C1, _C2 = np.uint64(0x87C37B91114253D5), np.uint64(0x4CF5AD432745937F)
_N1, _N2, _FIVE = np.uint64(0x52DCE729), np.uint64(0x38495AB5), np.uint64(5)
_F1, _F2 = np.uint64(0xFF51AFD7ED558CCD), np.uint64(0xC4CEB9FE1A85EC53)
_S33, _S31, _S30, _S27, _S3, _S8 = (np.uint64(n) for n in (33, 31, 30, 27, 3, 8))
_ZERO, _ONE = np.uint64(0), np.uint64(1)

_DIGESTS = U64_ROWS
_PAIR = several(U64, U64)


@inlined
def _rotl(x, r):
    return (x << np.uint64(r)) | (x >> np.uint64(64 - r))


@inlined
def _fmix(k):
    k = (k ^ (k >> _S33)) * _F1
    k = (k ^ (k >> _S33)) * _F2
    return k ^ (k >> _S33)


@inlined
def _block(h1, h2, k1, k2):
    h1 ^= _rotl(k1 * _C1, 31) * _C2
    h1 = (_rotl(h1, 27) + h2) * _FIVE + _N1
    h2 ^= _rotl(k2 * _C2, 33) * _C1
    h2 = (_rotl(h2, 31) + h1) * _FIVE + _N2
    return h1, h2


@inlined
def _end(h1, h2, length):
    h1 ^= length
    h2 ^= length
    h1 += h2
    h2 += h1
    h1, h2 = _fmix(h1), _fmix(h2)
    h1 += h2
    return h1, h2 + h1


@compiled(_PAIR(BYTES, I64, I64, U64, U64, U64))
def _hash(data, start, end, h1, h2, before):
    """Goes on from a state in which `before` bytes, a multiple of 16, are."""
    at = start
    while end - at >= 16:
        h1, h2 = _block(h1, h2, load_word(data, at), load_word(data, at + 8))
        at += 16
    left = end - at
    if left > 8:
        h2 ^= _rotl(load_tail(data, at + 8, left - 8) * _C2, 33) * _C1
    if left >= 8:
        h1 ^= _rotl(load_word(data, at) * _C1, 31) * _C2
    elif left > 0:
        h1 ^= _rotl(load_tail(data, at, left) * _C1, 31) * _C2
    return _end(h1, h2, before + np.uint64(end - start))


@inlined
def _after(path):
    """The state after a path."""
    return _block(_ZERO, _ZERO, path[0], path[1])


@inlined
def _add(sums, row, low, high):
    before = sums[row, 0]
    sums[row, 0] = before + low
    carry = _ONE if sums[row, 0] < before else _ZERO
    sums[row, 1] += high + carry


@inlined
def _is_null(valid, bit, nulls, row):
    at = bit + row
    return nulls and not (valid[at >> 3] >> np.uint8(at & 7)) & np.uint8(1)


@compiled(VOID(BYTES, I64, BYTES, I64, BOOL, READ_U64S, _DIGESTS))
def add_fixed(data, width, valid, bit, nulls, path, sums):
    """Adds to each row the digest of its `width` bytes."""
    p1, p2 = _after(path)
    if width == 8:
        length = np.uint64(24)
        for row in range(sums.shape[0]):
            if not _is_null(valid, bit, nulls, row):
                h1 = p1 ^ _rotl(load_word(data, row * 8) * _C1, 31) * _C2
                low, high = _end(h1, p2, length)
                _add(sums, row, low, high)
        return
    for row in range(sums.shape[0]):
        if not _is_null(valid, bit, nulls, row):
            low, high = _hash(data, row * width, (row + 1) * width, p1, p2, np.uint64(16))
            _add(sums, row, low, high)


@compiled(
    VOID(BYTES, READ_I32S, BYTES, I64, BOOL, READ_U64S, _DIGESTS),
    VOID(BYTES, READ_I64S, BYTES, I64, BOOL, READ_U64S, _DIGESTS),
)
def add_bytes(data, offsets, valid, bit, nulls, path, sums):
    """Adds to each row the digest of its bytes."""
    p1, p2 = _after(path)
    last, size = np.int64(0), np.int64(-1)  # the value that `low` and `high` are of
    low = high = _ZERO
    for row in range(sums.shape[0]):
        if _is_null(valid, bit, nulls, row):
            continue
        start, end = np.int64(offsets[row]), np.int64(offsets[row + 1])
        # Sorted rows have the same labels many times over.
        if end - start != size or not equal_bytes(data, start, data, last, size):
            low, high = _hash(data, start, end, p1, p2, np.uint64(16))
            last, size = start, end - start
        _add(sums, row, low, high)


@compiled(VOID(_DIGESTS, READ_I64S, BYTES, I64, BOOL, _DIGESTS))
def add_chosen(values, chosen, valid, bit, nulls, sums):
    """Adds to each row the digest that it chooses among the dictionary's."""
    for row in range(sums.shape[0]):
        if not _is_null(valid, bit, nulls, row):
            at = chosen[row]
            _add(sums, row, values[at, 0], values[at, 1])


@compiled(VOID(_DIGESTS, BYTES, I64, BOOL, READ_U64S))
def close_structs(sums, valid, bit, nulls, path):
    """In place: of the sums of members the digests of items, zeros for null."""
    p1, p2 = _after(path)
    for row in range(sums.shape[0]):
        if _is_null(valid, bit, nulls, row):
            sums[row, 0] = sums[row, 1] = _ZERO
        else:
            h1, h2 = _block(p1, p2, sums[row, 0], sums[row, 1])
            sums[row, 0], sums[row, 1] = _end(h1, h2, np.uint64(32))


@compiled(
    VOID(_DIGESTS, READ_I32S, BYTES, I64, BOOL, READ_U64S, _DIGESTS),
    VOID(_DIGESTS, READ_I64S, BYTES, I64, BOOL, READ_U64S, _DIGESTS),
)
def add_lists(items, offsets, valid, bit, nulls, path, sums):
    """Adds to each row the digest of its list of items, their order included."""
    first = offsets[0]
    for row in range(sums.shape[0]):
        if _is_null(valid, bit, nulls, row):
            continue
        f1, f2 = path[0], path[1]
        start, end = offsets[row] - first, offsets[row + 1] - first
        for at in range(start, end):
            h1, h2 = _block(_ZERO, _ZERO, f1, f2)
            h1, h2 = _block(h1, h2, items[at, 0], items[at, 1])
            f1, f2 = _end(h1, h2, np.uint64(32))
        h1, h2 = _block(_ZERO, _ZERO, f1, f2)
        h1 ^= _rotl(np.uint64(end - start) * _C1, 31) * _C2
        low, high = _end(h1, h2, np.uint64(24))
        _add(sums, row, low, high)


@compiled(_PAIR(_DIGESTS), allocates=True)
def _sum_rows(sums):
    total = np.zeros((1, 2), np.uint64)
    for row in range(sums.shape[0]):
        h1, h2 = _block(_ZERO, _ZERO, sums[row, 0], sums[row, 1])
        low, high = _end(h1, h2, np.uint64(16))
        _add(total, 0, low, high)
    return total[0, 0], total[0, 1]


@compiled(_DIGESTS(_DIGESTS, READ_I64S, I64), allocates=True)
def sum_buckets(sums, buckets, count):
    """The sum of the rows' digests by bucket, (count, 2); -1 is none."""
    totals = np.zeros((count, 2), np.uint64)
    for row in range(sums.shape[0]):
        if buckets[row] >= 0:
            h1, h2 = _block(_ZERO, _ZERO, sums[row, 0], sums[row, 1])
            low, high = _end(h1, h2, np.uint64(16))
            _add(totals, buckets[row], low, high)
    return totals


def sum_rows(sums: Words) -> tuple[int, int]:
    """Low and high half of the sum of the rows' digests."""
    low, high = _sum_rows(sums)
    return int(low), int(high)


def murmur(data: bytes) -> bytes:
    """MurmurHash3_x64_128 with seed 0: 16 bytes."""
    words = _hash(np.frombuffer(data, np.uint8), 0, len(data), _ZERO, _ZERO, _ZERO)
    return b"".join(int(word).to_bytes(8, "little") for word in words)
