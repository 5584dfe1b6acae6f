"""What rows hold, as one number that does not depend on how they are laid out.

Belongs here: the algorithm and its loops. Does not: who compares whose fingerprint.

**v1.** All numbers are little-endian; `H` is MurmurHash3_x64_128 with seed 0, its 16 bytes
read as one number; sums are modulo 2**128.

- A path is hashed level by level: `p = H(name)` for a column, `H(p || name)` for a member of
  a struct (`name` in UTF-8), `H(p || "[]")` for the items of a list or map.
- A value that is not null has the digest `H(p || bytes)`. Its bytes are: of text and binary
  values the bytes; of integers, booleans, dates, times and timestamps eight bytes, two's
  complement, in the column's own unit; of floats their bits in eight bytes; of decimals and
  of binary values of a fixed size what Arrow stores. A dictionary's value counts as itself.
- A struct has the sum of its members' digests; a null one has no members.
- A list that is not null is folded, item by item: `f = p`, then `f = H(f || i)`, and at
  the end `H(f || number of items)` in eight bytes. `i` is 16 bytes: zeros for a null item,
  else the item's digest; of an item that is a struct `H(p of items || sum)`. A map is
  a list of structs of `key` and `value`, in the order in which they stand.
- A row has `H(sum of its columns' digests)`. The fingerprint is the sum over all rows,
  written `v1:` and 32 hexadecimal digits. It goes with the number of rows.

So it is independent of the order of rows and of columns, of how rows were cut into batches, of
dictionaries, of 32 or 64 bit offsets, and of columns in which all is null. Fingerprints of
parts of a table add up to that of the whole.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    import numpy.typing as npt

    Digests = npt.NDArray[np.uint64]  # (rows, 2): low and high half

VERSION = "v1"
_MASK = (1 << 128) - 1


@dataclass
class Fingerprint:
    """The sum over the rows that were added so far."""

    total: int = 0
    rows: int = 0

    def add(self, batch: pa.RecordBatch) -> None:
        """Takes a batch's rows. Raises TypeError for a type without a rule above."""
        from lake.partition import fingerprint_loops as loops  # noqa: PLC0415  compiled code

        low, high = loops.sum_rows(row_digests(batch))
        self.total = (self.total + low + (high << 64)) & _MASK
        self.rows += batch.num_rows

    def watching(self, batches: Iterable[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
        """The same batches, each added on its way."""
        for batch in batches:
            self.add(batch)
            yield batch

    def __str__(self) -> str:
        return f"{VERSION}:{self.total:032x}"


class HourlyFingerprint:
    """The fingerprints of a day's hours, to locate where two readings of it differ.

    `column` has the rows' times; rows without one, or of another day, count as the 25th hour.
    """

    def __init__(self, column: str, start_ns: int) -> None:
        self._column, self._start_ns = column, start_ns
        self.totals = [0] * 25
        self.rows = [0] * 25

    def add(self, batch: pa.RecordBatch) -> None:
        """Takes a batch's rows. Raises TypeError."""
        hours = self._hours(batch)
        for hour, total in enumerate(by_bucket(batch, hours, 25)):
            self.totals[hour] = (self.totals[hour] + total) & _MASK
        for hour, rows in enumerate(np.bincount(hours, minlength=25)):
            self.rows[hour] += int(rows)

    def _hours(self, batch: pa.RecordBatch) -> npt.NDArray[np.int64]:
        nowhere = np.full(batch.num_rows, 24, np.int64)
        if self._column not in batch.schema.names:
            return nowhere
        times = batch.column(self._column)
        if not pa.types.is_timestamp(times.type):
            return nowhere
        ticks = {"s": 1, "ms": 10**3, "us": 10**6, "ns": 10**9}[times.type.unit]
        start = self._start_ns * ticks // 10**9
        since = times.cast(pa.int64()).fill_null(start - 1).to_numpy() - start
        hours = since // (3600 * ticks)
        return np.where((hours >= 0) & (hours < 24), hours, nowhere)

    def difference(self, other: HourlyFingerprint) -> list[tuple[int, int, int]]:
        """The hours that differ, each with its rows here and there."""
        return [
            (hour, self.rows[hour], other.rows[hour])
            for hour in range(25)
            if (self.totals[hour], self.rows[hour]) != (other.totals[hour], other.rows[hour])
        ]

    def __str__(self) -> str:
        return f"{VERSION}:{sum(self.totals) & _MASK:032x}"


def by_bucket(batch: pa.RecordBatch, buckets: npt.NDArray[np.int64], count: int) -> list[int]:
    """The sums of `count` parts of a batch; `buckets` has each row's part, or -1."""
    from lake.partition import fingerprint_loops as loops  # noqa: PLC0415

    sums = loops.sum_buckets(row_digests(batch), buckets, count)
    return [int(low) | int(high) << 64 for low, high in sums]


def row_digests(batch: pa.RecordBatch) -> Digests:
    """The sum of each row's columns' digests."""
    sums = np.zeros((batch.num_rows, 2), np.uint64)
    for column, name in zip(batch.columns, batch.schema.names, strict=True):
        _add(column, _path(b"", name.encode()), sums)
    return sums


@lru_cache(maxsize=4096)  # names without bound occur
def _path(parent: bytes, name: bytes) -> bytes:
    from lake.partition import fingerprint_loops as loops  # noqa: PLC0415

    return loops.murmur(parent + name)


def _add(array: pa.Array, path: bytes, sums: Digests) -> None:
    """Adds the digest of each of the array's values to the sum in its place."""
    from lake.partition import fingerprint_loops as loops  # noqa: PLC0415

    kind = array.type
    if isinstance(array, pa.ExtensionArray):
        _add(array.storage, path, sums)
    elif array.null_count == len(array):
        return
    elif pa.types.is_dictionary(kind):
        _add_dictionary(array, path, sums)
    elif pa.types.is_struct(kind):
        for index, member in enumerate(array.flatten()):  # members of a null struct are null
            _add(member, _path(path, kind.field(index).name.encode()), sums)
    elif pa.types.is_list(kind) or pa.types.is_large_list(kind) or pa.types.is_map(kind):
        _add_lists(array, path, sums)
    elif pa.types.is_fixed_size_list(kind):
        _add(array.cast(pa.list_(kind.value_field)), path, sums)
    else:
        plain = _Plain.of(array)
        if plain.offsets is None:
            loops.add_fixed(plain.data, plain.width, *_validity(array), path_words(path), sums)
        else:
            loops.add_bytes(plain.data, plain.offsets, *_validity(array), path_words(path), sums)


@dataclass(frozen=True)
class _Plain:
    """An array's bytes from its first value on. `offsets` has one more entry than values."""

    data: npt.NDArray[np.uint8]
    width: int
    offsets: npt.NDArray[np.int64] | npt.NDArray[np.int32] | None = None

    @classmethod
    def of(cls, array: pa.Array) -> _Plain:
        """Raises TypeError."""
        kind = array.type
        if pa.types.is_string_view(kind) or pa.types.is_binary_view(kind):
            array = array.cast(pa.large_binary())
            kind = array.type
        if _is_text(kind):
            wide = pa.types.is_large_string(kind) or pa.types.is_large_binary(kind)
            return cls(_bytes(array.buffers()[2]), 0, _offsets(array, wide=wide))
        if pa.types.is_boolean(kind):
            array = array.cast(pa.int8())
        if pa.types.is_integer(kind) or pa.types.is_boolean(kind) or pa.types.is_temporal(kind):
            return cls(_widened(array), 8)
        if pa.types.is_floating(kind):
            return cls(_widened(array, bits=True), 8)
        if pa.types.is_decimal(kind) or pa.types.is_fixed_size_binary(kind):
            width = kind.byte_width
            start = array.offset * width
            return cls(_bytes(array.buffers()[1])[start:], width)
        raise TypeError(f"no fingerprint of {kind}")


def _is_text(kind: pa.DataType) -> bool:
    return bool(
        pa.types.is_string(kind)
        or pa.types.is_binary(kind)
        or pa.types.is_large_string(kind)
        or pa.types.is_large_binary(kind)
    )


_SIGNED = {1: np.int8, 2: np.int16, 4: np.int32, 8: np.int64}
_UNSIGNED = {1: np.uint8, 2: np.uint16, 4: np.uint32, 8: np.uint64}


def _widened(array: pa.Array, *, bits: bool = False) -> npt.NDArray[np.uint8]:
    """Values as eight bytes each: sign-extended, or as `bits`."""
    width = array.type.bit_width // 8
    if width not in _SIGNED:
        raise TypeError(f"no fingerprint of {array.type}")
    unsigned = bits or pa.types.is_unsigned_integer(array.type)
    kind = (_UNSIGNED if unsigned else _SIGNED)[width]
    values = np.frombuffer(array.buffers()[1], kind)[array.offset : array.offset + len(array)]
    if width < 8:
        values = values.astype(np.uint64 if unsigned else np.int64)
    return values.view(np.uint8)


def _bytes(buffer: pa.Buffer | None) -> npt.NDArray[np.uint8]:
    return np.frombuffer(buffer, np.uint8) if buffer is not None else np.zeros(0, np.uint8)


def _offsets(array: pa.Array, *, wide: bool) -> Any:
    kind = np.int64 if wide else np.int32
    offsets = np.frombuffer(array.buffers()[1], kind)
    return offsets[array.offset : array.offset + len(array) + 1]


def _validity(array: pa.Array) -> tuple[npt.NDArray[np.uint8], int, bool]:
    """The bitmap, the bit of the first value, and whether there is one."""
    bitmap = array.buffers()[0] if array.null_count else None
    return _bytes(bitmap), array.offset, bitmap is not None


def path_words(path: bytes) -> npt.NDArray[np.uint64]:
    """A path's hash as its two halves."""
    return np.frombuffer(path, np.uint64)


def _add_dictionary(array: pa.DictionaryArray, path: bytes, sums: Digests) -> None:
    """Each value of the dictionary is hashed once."""
    from lake.partition import fingerprint_loops as loops  # noqa: PLC0415

    values = np.zeros((len(array.dictionary), 2), np.uint64)
    _add(array.dictionary, path, values)
    indices = array.indices
    chosen = _widened(indices).view(np.int64)
    loops.add_chosen(values, chosen, *_validity(indices), sums)


def _add_lists(array: pa.Array, path: bytes, sums: Digests) -> None:
    from lake.partition import fingerprint_loops as loops  # noqa: PLC0415

    offsets = _offsets(array, wide=pa.types.is_large_list(array.type))
    first, last = int(offsets[0]), int(offsets[-1])
    items, below = array.values.slice(first, last - first), _path(path, b"[]")
    digests = np.zeros((len(items), 2), np.uint64)
    if pa.types.is_struct(items.type):
        for index, member in enumerate(items.flatten()):
            name = (
                ("key", "value")[index] if pa.types.is_map(array.type) else items.type[index].name
            )
            _add(member, _path(below, name.encode()), digests)
        loops.close_structs(digests, *_validity(items), path_words(below))
    else:
        _add(items, below, digests)
    loops.add_lists(digests, offsets, *_validity(array), path_words(path), sums)
