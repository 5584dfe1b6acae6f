"""Time-series measurements as the buckets that MongoDB keeps them in, and back.

Belongs here: buckets of version 1 (not compressed), which mongorestore brings into every
MongoDB that has time-series collections. Does not: reading or loading collections.

A bucket is a document: `control.min` and `control.max` bound every field, `meta` is the
measurements' common meta value, `data` holds one column for each field. MongoDB skips buckets
by their bounds, so they have to be exact: a bucket takes only values that it can compare, and
of other types (documents, arrays, binary data) only one and the same value.
Source: https://github.com/mongodb/mongo/blob/master/src/mongo/db/timeseries/README.md
"""

from __future__ import annotations

import hashlib
import math
import struct
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Any

from bson.decimal128 import Decimal128

from lake.systems.mongo.reading.elements import MalformedError, elements

_MOST_ROWS, _MOST_BYTES = 1000, 125 << 10
_MOST_OPEN = 500  # buckets, one for each meta value
_DATE, _DOCUMENT, _OBJECT_ID, _INT32 = 0x09, 0x03, 0x07, 0x10
_NUMBERS = frozenset({0x01, 0x10, 0x12, 0x13})
# Seconds: a bucket's start is rounded down to the first, its measurements span the second.
_GRANULARITY = {"seconds": (60, 3600), "minutes": (3600, 86_400), "hours": (86_400, 2_592_000)}

Value = tuple[int, bytes]  # BSON type, bytes


class CompressedError(ValueError):
    """A bucket of another version, whose columns are compressed."""


@dataclass(frozen=True)
class TimeSeriesShape:
    """A collection's time-series options."""

    time_field: bytes
    meta_field: bytes
    rounding_s: int
    span_s: int

    @classmethod
    def of(cls, options: Mapping[str, Any]) -> TimeSeriesShape:
        """From the `timeseries` options of the collection."""
        rounding, span = _GRANULARITY.get(
            str(options.get("granularity", "seconds")), _GRANULARITY["seconds"]
        )
        return cls(
            str(options["timeField"]).encode(),
            str(options.get("metaField", "")).encode(),
            int(options.get("bucketRoundingSeconds", rounding)),
            int(options.get("bucketMaxSpanSeconds", span)),
        )


def buckets(documents: Iterable[bytes], shape: TimeSeriesShape) -> Iterator[bytes]:
    """The measurements' buckets; the same measurements give the same bytes.

    Raises MalformedError: no BSON, or no date in the time field.
    """
    opened: dict[Value | None, _Bucket] = {}
    number = 0
    for document in documents:
        at_ms, meta, fields = _parts(document, shape)
        bucket = opened.get(meta)
        if bucket is not None and not bucket.takes(at_ms, fields):
            yield opened.pop(meta).document()
            bucket = None
        if bucket is None:
            if len(opened) >= _MOST_OPEN:
                yield opened.pop(next(iter(opened))).document()
            number += 1
            bucket = opened[meta] = _Bucket(shape, meta, at_ms, number)
        bucket.add(at_ms, fields)
    for bucket in opened.values():
        yield bucket.document()


def measurements(bucket: bytes, shape: TimeSeriesShape) -> Iterator[bytes]:
    """The measurements of a bucket. Raises CompressedError, MalformedError."""
    fields = {name: (tag, begin, end) for tag, name, begin, end in elements(bucket, 0)}
    try:
        control, data = fields[b"control"][1], fields[b"data"][1]
    except KeyError as error:
        raise MalformedError(f"a bucket without {error}") from error
    version = next((bucket[at] for _, name, at, _ in elements(bucket, control)
                    if name == b"version"), 0)  # fmt: skip
    if version != 1:
        raise CompressedError(f"buckets of version {version}")
    rows: dict[int, list[bytes]] = {}
    for _, column, begin, _ in elements(bucket, data):
        for tag, index, at, end in elements(bucket, begin):
            rows.setdefault(int(index), []).append(_element(tag, column, bucket[at:end]))
            if column == shape.time_field and b"meta" in fields:
                meta_tag, meta_at, meta_end = fields[b"meta"]
                rows[int(index)].append(
                    _element(meta_tag, shape.meta_field, bucket[meta_at:meta_end])
                )
    for _, parts in sorted(rows.items()):
        yield _document(parts)


def _parts(document: bytes, shape: TimeSeriesShape) -> tuple[int, Value | None, dict[bytes, Value]]:
    meta = None
    fields: dict[bytes, Value] = {}
    for tag, name, begin, end in elements(document, 0):
        value = tag, document[begin:end]
        if shape.meta_field and name == shape.meta_field:
            meta = value
        else:
            fields[name] = value
    at = fields.get(shape.time_field)
    if at is None or at[0] != _DATE:
        raise MalformedError("a measurement without a date in its time field")
    return int.from_bytes(at[1], "little", signed=True), meta, fields


@dataclass
class _Column:
    """One field's values by row, and the least and greatest of them."""

    rows: list[bytes] = field(default_factory=list)
    least: Value = (0, b"")
    greatest: Value = (0, b"")
    low: Any = None
    high: Any = None

    def takes(self, value: Value) -> bool:
        if not self.rows:
            return True
        key = _order(value)
        if key is None or self.low is None:
            return value == self.least
        return bool(key[0] == self.low[0])

    def add(self, row: int, value: Value) -> None:
        key = _order(value)
        if not self.rows:
            self.least = self.greatest = value
            self.low = self.high = key
        elif key is not None:
            if key < self.low:
                self.least, self.low = value, key
            if key > self.high:
                self.greatest, self.high = value, key
        self.rows.append(_element(value[0], b"%d" % row, value[1]))


@dataclass
class _Bucket:
    shape: TimeSeriesShape
    meta: Value | None
    first_ms: int
    number: int
    columns: dict[bytes, _Column] = field(default_factory=dict)
    count: int = 0
    size: int = 0

    @property
    def start_ms(self) -> int:
        return self.first_ms // (self.shape.rounding_s * 1000) * self.shape.rounding_s * 1000

    def takes(self, at_ms: int, fields: Mapping[bytes, Value]) -> bool:
        """Whether the measurement belongs here; fields keep their order within a bucket."""
        if not 0 <= at_ms - self.start_ms < self.shape.span_s * 1000:
            return False
        if self.count >= _MOST_ROWS or self.size >= _MOST_BYTES:
            return False
        columns = [name for name in self.columns if name in fields]
        if columns != [name for name in fields if name in self.columns]:
            return False
        if columns and list(fields)[: len(columns)] != columns:  # a new field comes last
            return False
        return all(self.columns[name].takes(fields[name]) for name in columns)

    def add(self, at_ms: int, fields: Mapping[bytes, Value]) -> None:
        del at_ms
        for name, value in fields.items():
            self.columns.setdefault(name, _Column()).add(self.count, value)
            self.size += len(value[1]) + 6
        self.count += 1

    def document(self) -> bytes:
        start = struct.pack("<q", self.start_ms)
        low = [
            _element(_DATE, name, start)
            if name == self.shape.time_field
            else _element(column.least[0], name, column.least[1])
            for name, column in self.columns.items()
        ]
        high = [_element(column.greatest[0], name, column.greatest[1])
                for name, column in self.columns.items()]  # fmt: skip
        control = _document([
            _element(_INT32, b"version", struct.pack("<i", 1)),
            _element(_DOCUMENT, b"min", _document(low)),
            _element(_DOCUMENT, b"max", _document(high)),
        ])  # fmt: skip
        data = _document([_element(_DOCUMENT, name, _document(column.rows))
                          for name, column in self.columns.items()])  # fmt: skip
        meta = [] if self.meta is None else [_element(self.meta[0], b"meta", self.meta[1])]
        return _document([
            _element(_OBJECT_ID, b"_id", self._id(control)),
            _element(_DOCUMENT, b"control", control),
            *meta,
            _element(_DOCUMENT, b"data", data),
        ])  # fmt: skip

    def _id(self, control: bytes) -> bytes:
        """MongoDB finds a bucket's time in its `_id`; the rest only has to be unique."""
        seconds = self.start_ms // 1000 & 0xFFFFFFFF
        digest = hashlib.sha256(b"%d " % self.number + control).digest()
        return seconds.to_bytes(4, "big") + digest[:8]


def _order(value: Value) -> tuple[int, Any] | None:
    """MongoDB's order among values of one kind; None for what is only compared for equality."""
    tag, raw = value
    if tag in _NUMBERS:
        return _number(tag, raw)
    if tag == 0x02:
        return tag, raw[4:-1]
    if tag in {0x07, 0x08}:
        return tag, raw
    if tag == _DATE:
        return tag, int.from_bytes(raw, "little", signed=True)
    if tag == 0x11:  # a timestamp: increment, then seconds
        return tag, int.from_bytes(raw, "little")
    return None


def _number(tag: int, raw: bytes) -> tuple[int, Any]:
    """NaN is less than every number."""
    if tag == 0x01:
        (double,) = struct.unpack("<d", raw)
        return 0x01, (0, 0) if math.isnan(double) else (1, double)
    if tag == 0x13:
        decimal: Decimal = Decimal128.from_bid(raw).to_decimal()
        return 0x01, (0, 0) if decimal.is_nan() else (1, decimal)
    return 0x01, (1, int.from_bytes(raw, "little", signed=True))


def _element(tag: int, name: bytes, value: bytes) -> bytes:
    return bytes((tag,)) + name + b"\0" + value


def _document(parts: Iterable[bytes]) -> bytes:
    body = b"".join(parts)
    return struct.pack("<i", len(body) + 5) + body + b"\0"
