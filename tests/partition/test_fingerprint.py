"""Against an implementation in plain Python, value by value, from the words of the docstring."""

import decimal
import random
import struct

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lake.partition.fingerprint import Fingerprint, HourlyFingerprint, by_bucket
from lake.partition.fingerprint_loops import murmur as compiled_murmur

_64, _128 = (1 << 64) - 1, (1 << 128) - 1


def rotl(x: int, r: int) -> int:
    return ((x << r) | (x >> (64 - r))) & _64


def fmix(k: int) -> int:
    for factor in (0xFF51AFD7ED558CCD, 0xC4CEB9FE1A85EC53):
        k = ((k ^ (k >> 33)) * factor) & _64
    return k ^ (k >> 33)


def murmur(data: bytes, seed: int = 0) -> bytes:
    """MurmurHash3_x64_128 as its author's C++ has it."""
    c1, c2 = 0x87C37B91114253D5, 0x4CF5AD432745937F
    h1 = h2 = seed
    whole = len(data) // 16 * 16
    for at in range(0, whole, 16):
        k1, k2 = struct.unpack_from("<QQ", data, at)
        h1 ^= rotl((k1 * c1) & _64, 31) * c2 & _64
        h1 = ((rotl(h1, 27) + h2) * 5 + 0x52DCE729) & _64
        h2 ^= rotl((k2 * c2) & _64, 33) * c1 & _64
        h2 = ((rotl(h2, 31) + h1) * 5 + 0x38495AB5) & _64
    k1, k2 = struct.unpack("<QQ", data[whole:].ljust(16, b"\0"))
    h2 ^= rotl((k2 * c2) & _64, 33) * c1 & _64
    h1 ^= rotl((k1 * c1) & _64, 31) * c2 & _64
    h1, h2 = h1 ^ len(data), h2 ^ len(data)
    h1 = (h1 + h2) & _64
    h2 = (h2 + h1) & _64
    h1, h2 = fmix(h1), fmix(h2)
    h1 = (h1 + h2) & _64
    return struct.pack("<QQ", h1, (h2 + h1) & _64)


def number(digest: bytes) -> int:
    return int.from_bytes(digest, "little")


def digest(kind: pa.DataType, value, path: bytes) -> int:
    """The sum of the digests of a value's parts; 0 for null."""
    if value is None:
        return 0
    if pa.types.is_dictionary(kind):
        return digest(kind.value_type, value, path)
    if pa.types.is_struct(kind):
        return members(kind, value, path)
    if pa.types.is_map(kind):
        entry = pa.struct([("key", kind.key_type), ("value", kind.item_type)])
        return folded(entry, [{"key": k, "value": v} for k, v in value], path)
    if hasattr(kind, "value_type"):
        return folded(kind.value_type, value, path)
    return number(murmur(path + plain(kind, value)))


def members(kind: pa.StructType, value: dict, path: bytes) -> int:
    fields = [kind.field(n) for n in range(kind.num_fields)]
    return sum(digest(f.type, value[f.name], murmur(path + f.name.encode())) for f in fields) & _128


def folded(item: pa.DataType, values: list, path: bytes) -> int:
    below, fold = murmur(path + b"[]"), path
    for value in values:
        if value is None:
            member = bytes(16)
        elif pa.types.is_struct(item):
            member = murmur(below + members(item, value, below).to_bytes(16, "little"))
        else:
            member = digest(item, value, below).to_bytes(16, "little")
        fold = murmur(fold + member)
    return number(murmur(fold + len(values).to_bytes(8, "little")))


def plain(kind: pa.DataType, value) -> bytes:
    if isinstance(value, str):
        return value.encode()
    if isinstance(value, bytes):
        return value
    if pa.types.is_floating(kind):
        code = {16: "<e", 32: "<f", 64: "<d"}[kind.bit_width]
        return struct.pack(code, value).ljust(8, b"\0")
    if isinstance(value, decimal.Decimal):
        with decimal.localcontext(prec=100):
            return int(value.scaleb(kind.scale)).to_bytes(kind.byte_width, "little", signed=True)
    if pa.types.is_temporal(kind):
        size = {32: pa.int32(), 64: pa.int64()}[kind.bit_width]
        value = pa.scalar(value, kind).cast(size).as_py()
    return (int(value) & _64).to_bytes(8, "little")


def expected(table: pa.Table) -> str:
    paths = {name: murmur(name.encode()) for name in table.schema.names}
    total = 0
    for row in table.to_pylist(maps_as_pydicts=None):
        row_digest = sum(digest(f.type, row[f.name], paths[f.name]) for f in table.schema) & _128
        total += number(murmur(row_digest.to_bytes(16, "little")))
    return f"v1:{total & _128:032x}"


def fingerprint(table: pa.Table, size: int = 1000) -> str:
    computed = Fingerprint()
    for batch in table.to_batches(max_chunksize=size):
        computed.add(batch)
    assert computed.rows == table.num_rows
    return str(computed)


def test_the_plain_murmur_is_the_published_one():
    """SMHasher's own check of an implementation: 0x6384BA69 for this one."""
    hashes = [murmur(bytes(range(n)), 256 - n) for n in range(256)]
    assert murmur(b"".join(hashes))[:4] == (0x6384BA69).to_bytes(4, "little")


@given(st.binary(max_size=70))
def test_the_compiled_murmur_is_the_plain_one(data):
    assert compiled_murmur(data) == murmur(data)


INTEGERS = [pa.int8(), pa.int16(), pa.int32(), pa.int64(), pa.uint8(), pa.uint16(), pa.uint32(),
            pa.uint64()]  # fmt: skip
TIMES = [pa.timestamp("ms", "UTC"), pa.timestamp("us"), pa.date32(), pa.time64("us"),
         pa.duration("ms")]  # fmt: skip
TEXT = st.text(st.characters(exclude_categories=["Cs"]), max_size=20)


def integers(kind: pa.DataType):
    top = 1 << (kind.bit_width - pa.types.is_signed_integer(kind))
    return st.integers(-top if pa.types.is_signed_integer(kind) else 0, top - 1)


def kinds() -> st.SearchStrategy:
    """Pairs of a type and a strategy of its values."""
    plain_kinds = st.one_of(
        st.sampled_from(INTEGERS).map(lambda kind: (kind, integers(kind))),
        st.sampled_from(TIMES).map(lambda kind: (kind, st.integers(0, 80_000))),
        st.just((pa.bool_(), st.booleans())),
        st.just((pa.float64(), st.floats(allow_nan=False))),
        st.just((pa.float32(), st.floats(width=32, allow_nan=False))),
        st.just((pa.binary(3), st.binary(min_size=3, max_size=3))),
        st.sampled_from([pa.binary(), pa.large_binary()]).map(lambda k: (k, st.binary())),
        st.sampled_from([pa.string(), pa.large_string()]).map(lambda k: (k, TEXT)),
        st.just((pa.decimal128(9, 2), st.integers(-(10**9) + 1, 10**9 - 1).map(cents))),
        st.just((pa.null(), st.none())),
    )
    return st.recursive(plain_kinds, nested, max_leaves=4)


def cents(value: int) -> decimal.Decimal:
    return decimal.Decimal(value).scaleb(-2)


def nested(inner: st.SearchStrategy) -> st.SearchStrategy:
    return st.one_of(
        inner.map(lambda kind: (pa.list_(kind[0]), listed(kind))),
        inner.map(lambda kind: (pa.large_list(kind[0]), listed(kind))),
        inner.map(
            lambda kind: (
                pa.map_(pa.string(), kind[0]),
                st.lists(st.tuples(TEXT, maybe(kind)), max_size=3),
            )
        ),
        st.lists(st.tuples(TEXT, inner), max_size=3, unique_by=lambda pair: pair[0]).map(
            lambda fields: (
                pa.struct([(name, pair[0]) for name, pair in fields]),
                st.fixed_dictionaries({name: maybe(pair) for name, pair in fields}),
            )
        ),
    )


def maybe(kind) -> st.SearchStrategy:
    return st.none() | kind[1]


def listed(kind) -> st.SearchStrategy:
    return st.lists(maybe(kind), max_size=4)


@st.composite
def tables(draw) -> pa.Table:
    rows = draw(st.integers(0, 6))
    columns = draw(st.dictionaries(TEXT, kinds(), min_size=1, max_size=4))
    made = {}
    for name, kind in columns.items():
        values = draw(st.lists(maybe(kind), min_size=rows, max_size=rows))
        made[name] = pa.array(values, kind[0])
    return pa.table(made)


@settings(max_examples=100, deadline=None)
@given(tables(), st.integers(1, 4), st.randoms(use_true_random=False))
def test_every_table_against_the_plain_implementation(table, size, chance):
    wanted = expected(table)
    assert fingerprint(table) == wanted
    assert fingerprint(table, size) == wanted
    order = list(range(table.num_rows))
    chance.shuffle(order)
    names = chance.sample(table.column_names, len(table.column_names))
    assert fingerprint(table.take(pa.array(order, pa.int64())).select(names)) == wanted
    nothing = pa.nulls(table.num_rows, pa.list_(pa.int32()))
    assert fingerprint(table.append_column("one more, and null", nothing)) == wanted


def hour(column: pa.Array) -> pa.Table:
    return pa.table({"c": column})


def test_layouts_of_the_same_values():
    values = ["", "a", None, "ä" * 40, "a"]
    wanted = fingerprint(hour(pa.array(values)))
    for kind in (
        pa.large_string(),
        pa.binary(),
        pa.string_view(),
        pa.dictionary(pa.int8(), pa.string()),
    ):
        assert fingerprint(hour(pa.array(values).cast(kind))) == wanted
    indices = pa.array([1, 0, 2, 3, 0], pa.int16())  # a null among the dictionary's own values
    odd = pa.DictionaryArray.from_arrays(indices, pa.array(["a", "", None, "ä" * 40]))
    assert fingerprint(hour(odd)) == wanted
    numbers = pa.array([1, None, -1], pa.int8())
    assert fingerprint(hour(numbers)) == fingerprint(hour(numbers.cast(pa.int64())))


DIFFERENT = [
    [[1.0], [-1.0]],
    [[0.0], [-0.0]],
    [["a", "b"], ["a", "a"]],
    [["ab"], ["a", "b"]],
    [["a"], ["a", "a", "a"]],
    [[None], [""]],
    [[[]], [None]],
    [[[]], [[None]], [[None, None]]],
    [[[1, 2]], [[2, 1]], [[1], [2]]],
    [[[{}]], [[None]], [[{"x": 1}]], [[{"x": None}, {"x": 1}]]],
    [[{"x": 1, "y": 2}], [{"x": 2, "y": 1}]],
    [[{"x": "a"}, {"y": "b"}], [{"x": "a", "y": "b"}, {}]],
]


@pytest.mark.parametrize("tables_", DIFFERENT, ids=str)
def test_what_differs_has_another_one(tables_):
    fingerprints = [fingerprint(hour(pa.array(values))) for values in tables_]
    assert len(set(fingerprints)) == len(fingerprints)


def test_every_bit_of_a_float_counts():
    bits = [0x7FF8000000000000, 0x7FF8000000000001, 0xFFF8000000000000, 1 << 63, 0]
    fingerprints = {fingerprint(hour(pc.cast(pa.array([0.5]), pa.float64()))) for _ in (1, 2)}
    fingerprints |= {
        fingerprint(hour(pa.array(np.array([b], np.uint64).view(np.float64)))) for b in bits
    }
    assert len(fingerprints) == 1 + len(bits)


def test_parts_add_up():
    table = pa.table({"a": list(range(100)), "b": [str(n) for n in range(100)]})
    (batch,) = table.to_batches()
    buckets = np.array([n % 3 - (n % 7 == 0) * 9 for n in range(100)], np.int64)
    buckets[buckets < 0] = -1
    sums = by_bucket(batch, buckets, 3)
    for bucket, total in enumerate(sums):
        chosen = table.filter(pa.array(buckets == bucket))
        assert f"v1:{total:032x}" == fingerprint(chosen) == expected(chosen)


HOURS = {0: 3, 5: 2, 23: 1}
START = 1_783_209_600  # 2026-07-05


def day_of(unit: str, *, off_by_one: bool = False, extra: bool = True) -> pa.Table:
    ticks = {"s": 1, "ms": 1000, "us": 10**6, "ns": 10**9}[unit]
    times = [
        (START + 3600 * h + 599 * n) * ticks for h, count in HOURS.items() for n in range(count)
    ]
    times[-1] = (START + 86_400) * ticks - 1  # the last moment
    outside = [START * ticks - 1, (START + 86_400) * ticks, None] if extra else []
    values = list(range(len(times) + len(outside)))
    values[4] += off_by_one
    return pa.table({"ts": pa.array([*times, *outside], pa.timestamp(unit, "UTC")), "v": values})


def hourly(table: pa.Table, column: str = "ts") -> HourlyFingerprint:
    computed = HourlyFingerprint(column, START * 10**9)
    for batch in table.to_batches(max_chunksize=4):
        computed.add(batch)
    return computed


@pytest.mark.parametrize("unit", ["s", "ms", "us", "ns"])
def test_the_hours_of_a_day(unit):
    table = day_of(unit)
    computed = hourly(table)
    assert str(computed) == fingerprint(table)
    assert {hour: rows for hour, rows in enumerate(computed.rows) if rows} == {**HOURS, 24: 3}
    assert computed.difference(hourly(table)) == []
    assert hourly(table).difference(hourly(day_of(unit, off_by_one=True))) == [(5, 2, 2)]
    assert hourly(table).difference(hourly(day_of(unit, extra=False))) == [(24, 3, 0)]


@pytest.mark.parametrize("column", ["v", "none"])
def test_rows_without_a_time_have_no_hour(column):
    table = day_of("ms")
    computed = hourly(table, column)
    assert str(computed) == fingerprint(table)
    assert computed.rows[24] == table.num_rows


def test_a_number_that_stays():
    """What is in manifests must not change with the code: v1 is v1."""
    chance = random.Random(1)
    table = pa.table(
        {
            "ts": pa.array([chance.getrandbits(40) for _ in range(50)], pa.timestamp("ms", "UTC")),
            "line": [chance.randbytes(n).hex() for n in range(50)],
            "metadata": pa.array(
                [[("k", str(n))] for n in range(50)], pa.map_(pa.string(), pa.string())
            ),
        }
    )
    assert fingerprint(table) == expected(table) == "v1:8f230c03c4bc1ecafde7f2277904da5c"


def test_a_type_without_a_rule_is_refused():
    union = pa.UnionArray.from_sparse(pa.array([0], pa.int8()), [pa.array([1])])
    with pytest.raises(TypeError, match="no fingerprint of"):
        fingerprint(hour(union))
