"""Documents as bytes, written here bit by bit: all that BSON can say, however odd.

A value is (BSON type, its bytes). Names and values are drawn from small pools, so that
days come out with columns, with conflicts, and with both.
"""

from __future__ import annotations

import struct

from hypothesis import strategies as st

Value = tuple[int, bytes]
DAY_START_MS = 1_782_864_000_000  # 2026-07-01
DAY_MS = 86_400_000


def document(fields: list[tuple[bytes, Value]]) -> bytes:
    body = b"".join(bytes([tag]) + name + b"\0" + data for name, (tag, data) in fields)
    return struct.pack("<i", len(body) + 5) + body + b"\0"


def array(values: list[Value]) -> bytes:
    return document([(b"%d" % i, value) for i, value in enumerate(values)])


def string(content: bytes) -> bytes:
    return struct.pack("<i", len(content) + 1) + content + b"\0"


def binary(subtype: int, content: bytes) -> bytes:
    return struct.pack("<iB", len(content), subtype) + content


def integer(number: int) -> Value:
    return (0x10, struct.pack("<i", number))


def decimal(negative: bool, coefficient: int, exponent: int) -> bytes:
    top = negative << 63 | (exponent + 6176) << 49 | coefficient >> 64
    return struct.pack("<QQ", coefficient & (1 << 64) - 1, top)


def date(ms: int) -> Value:
    return (0x09, struct.pack("<q", ms))


NAMES = [b"a", b"b", b"c", b"d", b"A", b"", b" ", b"a.b", b"$x", "é".encode(), b"x" * 300]
ODD_NAMES = [
    b"$oid", b"$ref", b"$id", b"$db", b"$date", b"$numberInt", b"\xff", b"_id", b"day", b"DAY",
    b"_rest", b"_raw", b"_Raw", b"timestamp", b"TimeStamp", b'q"q', b"nl\n", b"element", b"list",
    b"database", "É".encode(),
]  # fmt: skip

_PLAIN_DOUBLES = [0.0, -0.0, 1.0, 2.75, 1e308, 5e-324, *map(float, ("inf", "-inf", "nan"))]
_doubles = st.one_of(
    st.sampled_from(_PLAIN_DOUBLES).map(lambda number: struct.pack("<d", number)),
    st.sampled_from([0x7FF8 << 48, 0xFFF8 << 48, 0x7FF8 << 48 | 7, 0x7FF0 << 48 | 2]).map(
        lambda bits: struct.pack("<Q", bits)
    ),
    st.binary(min_size=8, max_size=8),
)
_texts = st.one_of(
    st.sampled_from([b"", b"x", b"2", b"a\0b", "日本".encode(), b"\xff\xfe", b"\xed\xa0\x80"]),
    st.text(max_size=20).map(lambda text: text.encode()),
)
_dates = st.one_of(
    st.integers(DAY_START_MS, DAY_START_MS + DAY_MS),
    st.sampled_from([-1, 0, -62135596800000, -62135596800001, 253402300799999, 253402300800000]),
    st.integers(-(2**63), 2**63 - 1),
)
_decimals = st.one_of(
    st.builds(decimal, st.booleans(), st.integers(0, 10**6), st.just(-2)),
    st.builds(decimal, st.booleans(), st.integers(0, 10**34 - 1), st.sampled_from([-38, -2, 0, 3])),
    st.binary(min_size=16, max_size=16),
)
_options = st.sampled_from([b"", b"i", b"imsx", b"lu", b"mi", b"g", b"\xff"])
_scalars: st.SearchStrategy[Value] = st.one_of(
    st.integers(-(2**31), 2**31 - 1).map(lambda n: (0x10, struct.pack("<i", n))),
    st.one_of(st.integers(-5, 5), st.integers(-(2**63), 2**63 - 1)).map(
        lambda n: (0x12, struct.pack("<q", n))
    ),
    _doubles.map(lambda data: (0x01, data)),
    _texts.map(lambda text: (0x02, string(text))),
    st.sampled_from([b"\0", b"\1", b"\2"]).map(lambda data: (0x08, data)),
    _dates.map(date),
    st.binary(min_size=12, max_size=12).map(lambda data: (0x07, data)),
    _decimals.map(lambda data: (0x13, data)),
    st.builds(binary, st.sampled_from([0, 3, 4, 5, 128]), st.binary(max_size=20)).map(
        lambda data: (0x05, data)
    ),
    st.just((0x0A, b"")),
)
_rare: st.SearchStrategy[Value] = st.one_of(
    st.builds(lambda c: (0x05, binary(2, struct.pack("<i", len(c)) + c)), st.binary(max_size=9)),
    st.binary(min_size=4, max_size=9).map(lambda c: (0x05, binary(2, c))),
    st.sampled_from([(0x06, b""), (0x7F, b""), (0xFF, b"")]),
    st.builds(lambda o: (0x0B, b"a.*\0" + o + b"\0"), _options),
    st.just((0x0C, string(b"c") + bytes(12))),
    _texts.map(lambda text: (0x0D, string(text))),
    _texts.map(lambda text: (0x0E, string(text))),
    st.binary(min_size=8, max_size=8).map(lambda data: (0x11, data)),
    st.just((0x02, struct.pack("<i", 0))),
)


def _with_scope(scope: bytes) -> Value:
    body = string(b"f()") + scope
    return (0x0F, struct.pack("<i", len(body) + 4) + body)


def _nested(inner: st.SearchStrategy[Value]) -> st.SearchStrategy[Value]:
    members = st.lists(st.tuples(_names, inner), max_size=4)
    distinct = st.lists(st.tuples(_names, inner), max_size=4, unique_by=lambda field: field[0])
    items = st.lists(inner, max_size=4)
    return st.one_of(
        distinct.map(lambda fields: (0x03, document(fields))),
        items.map(lambda values: (0x04, array(values))),
        st.builds(lambda v, n: (0x04, array([v] * n)), inner, st.integers(0, 3)),
        members.map(lambda fields: (0x03, document(fields))),
        members.map(lambda fields: (0x04, document(fields))),
        distinct.map(lambda fields: _with_scope(document(fields))),
        st.builds(
            lambda id_, more: (
                0x03, document([(b"$ref", (0x02, string(b"c"))), (b"$id", id_), *more])
            ),
            inner,
            distinct,
        ),
    )  # fmt: skip


_names = st.one_of(*[st.sampled_from(NAMES)] * 5, st.sampled_from(ODD_NAMES))
values: st.SearchStrategy[Value] = st.recursive(
    st.one_of(*[_scalars] * 6, _rare), _nested, max_leaves=12
)


# What Extended JSON can say: such documents must not need `_raw`.
_sayable: st.SearchStrategy[Value] = st.one_of(
    st.integers(-5, 5).map(integer),
    st.integers(-(2**63), 2**63 - 1).map(lambda n: (0x12, struct.pack("<q", n))),
    st.sampled_from(_PLAIN_DOUBLES).map(lambda number: (0x01, struct.pack("<d", number))),
    st.text(max_size=9).map(lambda text: (0x02, string(text.encode()))),
    st.booleans().map(lambda truth: (0x08, bytes([truth]))),
    _dates.map(date),
    st.binary(min_size=12, max_size=12).map(lambda data: (0x07, data)),
    st.builds(decimal, st.booleans(), st.integers(0, 999), st.sampled_from([-2, -2, -2, 0])).map(
        lambda data: (0x13, data)
    ),
    st.builds(binary, st.sampled_from([0, 0, 4]), st.binary(max_size=5)).map(
        lambda data: (0x05, data)
    ),
    st.sampled_from([(0x0A, b""), (0xFF, b""), (0x0B, b"a\0i\0"), (0x11, bytes(8))]),
)


def _sayable_nested(inner: st.SearchStrategy[Value]) -> st.SearchStrategy[Value]:
    fields = st.lists(
        st.tuples(st.sampled_from(NAMES), inner), max_size=4, unique_by=lambda field: field[0]
    )
    documents = fields.map(lambda fields: (0x03, document(fields)))
    return st.one_of(documents, st.lists(inner, max_size=3).map(lambda v: (0x04, array(v))),
                     st.lists(documents, max_size=3).map(lambda v: (0x04, array(v))))  # fmt: skip


sayable_values = st.recursive(_sayable, _sayable_nested, max_leaves=8)


@st.composite
def _documents(
    draw: st.DrawFn, names: st.SearchStrategy[bytes], values: st.SearchStrategy[Value], once: bool
) -> bytes:
    """A document of the day, `_id` first, with a time field that is a date."""
    unique = (lambda field: field[0]) if once else None
    fields = draw(st.lists(st.tuples(names, values), max_size=6, unique_by=unique))
    own = [field for field in fields if field[0] not in (b"_id", b"timestamp")]
    time = date(draw(st.integers(DAY_START_MS, DAY_START_MS + DAY_MS - 1)))
    id_ = draw(st.one_of(st.just((0x07, bytes(12))), values.filter(lambda v: v[0] != 0x04)))
    place = draw(st.integers(0, len(own)))
    return document([(b"_id", id_), *own[:place], (b"timestamp", time), *own[place:]])


odd_days = st.lists(_documents(_names, values, once=False), min_size=1, max_size=8)
sayable_days = st.lists(
    _documents(st.sampled_from(NAMES), sayable_values, once=True), min_size=3, max_size=16
)
