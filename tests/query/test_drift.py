"""Days whose types drift: SQL over any range against the same question asked of plain Python."""

from __future__ import annotations

import itertools
import json
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from support.hand_made import HandMadeLake, hand_made_lake

from lake.base.day import Day
from lake.base.errors import Missing, PermanentError, UsageError
from lake.catalog import write_catalog

JULY = [f"2026-07-{day:02d}" for day in range(1, 8)]
MILLIS = pa.timestamp("ms", "UTC")
_NUMBERS = (int, float, Decimal)

_VALUES: dict[str, tuple[pa.DataType, st.SearchStrategy[Any]]] = {
    "int": (pa.int64(), st.integers(-1000, 1000)),
    "double": (
        pa.float64(),
        st.integers(-4000, 4000).map(lambda n: n / 4) | st.sampled_from([2.0**60, -1e19, 2.0**120]),
    ),
    "decimal": (pa.decimal128(9, 2), st.integers(-(10**5), 10**5).map(lambda n: Decimal(n) / 4)),
    "long decimal": (pa.decimal128(12, 4), st.integers(-99, 99).map(lambda n: Decimal(n) / 16)),
    "text": (pa.string(), st.sampled_from(["error", "500", "true", "", "it's"])),
    "bool": (pa.bool_(), st.booleans()),
    "date": (MILLIS, st.integers(10**12, 2 * 10**12).map(
        lambda ms: datetime(1970, 1, 1, tzinfo=UTC) + timedelta(milliseconds=ms))),
}  # fmt: skip


@st.composite
def _days(draw: st.DrawFn) -> dict[str, tuple[str, list[Any], list[Any]]]:
    """Of each day the type, the values of a column and of a STRUCT's member."""
    days = {}
    for day in draw(st.lists(st.sampled_from(JULY), min_size=1, max_size=5, unique=True)):
        kind = draw(st.sampled_from(sorted(_VALUES)))
        values = st.lists(st.none() | _VALUES[kind][1], min_size=1, max_size=4)
        days[day] = (kind, draw(values), draw(values))
    return days


def _plain_text(value: Any) -> str | None:
    if value is None or isinstance(value, str):
        return value
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, datetime):
        return value.strftime("%Y-%m-%dT%H:%M:%S.") + f"{value.microsecond // 1000:03d}Z"
    # A double that is an integer has its digits, as an integer or a decimal that equals it.
    text = format(Decimal(value) if value == int(value) else Decimal(str(value)), "f")
    text = text.rstrip("0").rstrip(".") if "." in text else text
    return "0" if text in ("-0", "") else text


def _expected(days: dict[str, tuple[str, list[Any], list[Any]]], range_: list[str], n: int) -> Any:
    kinds = {days[day][0] for day in range_ if day in days}
    values = [value for day in range_ if day in days for value in days[day][n]]
    if len(kinds) <= 1:
        return values
    if kinds <= {"int", "double", "decimal", "long decimal"}:
        return values
    return [_plain_text(value) for value in values]


def _key(value: Any) -> tuple[bool, str, Any]:
    if value is None:
        return True, "", 0
    number = isinstance(value, _NUMBERS) and not isinstance(value, bool)
    return False, "" if number else type(value).__name__, value


@pytest.mark.slow
@settings(max_examples=6, deadline=None, suppress_health_check=list(HealthCheck))
@given(days=_days())
def test_any_range_has_the_values_and_the_type_of_its_days(
    days: dict[str, tuple[str, list[Any], list[Any]]], tmp_path_factory: pytest.TempPathFactory
) -> None:
    lake = hand_made_lake(tmp_path_factory.mktemp("drift"), "events")
    for day, (kind, values, inside) in days.items():
        type_ = _VALUES[kind][0]
        rows = max(len(values), len(inside))
        pad = [None] * rows
        members = pa.array((inside + pad)[:rows], type_)
        struct = pa.StructArray.from_arrays([members, pa.array([1] * rows)], names=["x", "k"])
        columns = {"x": pa.array((values + pad)[:rows], type_), "s": struct}
        lake.put("events", day, pa.table({**columns, "_rest": pa.nulls(rows, pa.string())}))
    with lake.connect() as session:
        for start, end in itertools.combinations([*JULY, "2026-07-08"], 2):
            length = (date.fromisoformat(end) - date.fromisoformat(start)).days
            if length not in (2, 7) or (length == 2 and start not in days):
                continue
            chosen = [day for day in JULY if start <= day < end]
            for source in (
                f"events_between('{start}', '{end}')",
                f"events WHERE day >= '{start}' AND day < '{end}'",
            ):
                rows = session.rows(f"SELECT x, s.x AS y FROM {source}")
                for n, column in ((1, "x"), (2, "y")):
                    not_null = [row[column] for row in rows if row[column] is not None]
                    expected = [v for v in _expected(days, chosen, n) if v is not None]
                    assert sorted(not_null, key=_key) == sorted(expected, key=_key), (
                        source,
                        column,
                    )


def _value(lake: HandMadeLake, sql: str) -> Any:
    with lake.connect() as session:
        (row,) = session.rows(sql)
    return next(iter(row.values()))


def test_one_day_of_another_type_changes_no_other_answer(make_lake, table) -> None:
    lake = make_lake("events")
    for day in JULY[:3]:
        lake.put("events", day, table(status=["error", "ok"], n=[1, 2]))
    lake.put("events", JULY[3], table(status=[500, 500], n=["many", "3"]))
    lake.put("events", JULY[4], table(status=["error", "ok"], n=[1.5, 2.5]))
    assert _value(lake, "SELECT count(*) FROM events WHERE status = 'error'") == 4
    assert _value(lake, "SELECT count(*) FROM events WHERE status = '500'") == 2
    before = f"events_between('{JULY[0]}', '{JULY[3]}')"
    assert _value(lake, f"SELECT sum(n) FROM {before}") == 9
    assert _value(lake, f"SELECT any_value(typeof(n)) FROM {before}") == "BIGINT"
    assert _value(lake, f"SELECT sum(n) FROM events WHERE day < '{JULY[3]}'") == 9
    assert _value(lake, f"SELECT sum(n) FROM events_between('{JULY[4]}', '2026-08-01')") == 4
    assert _value(lake, "SELECT sum(TRY_CAST(n AS DOUBLE)) FROM events") == 9 + 3 + 4
    with lake.connect() as session, pytest.raises(UsageError, match="TRY_CAST"):
        session.rows("SELECT sum(n) FROM events")
    # A relation is computed later: the questions in between do not change its days.
    with lake.connect() as session:
        relation = session.sql("SELECT status FROM events")
        session.rows(f"SELECT n FROM events WHERE day = '{JULY[0]}'")
        assert len(relation.fetchall()) == 10


def test_a_day_without_rows_changes_no_type(make_lake, table) -> None:
    """Its object has columns, but no value: numbers stay numbers, and are compared as such."""
    lake = make_lake("events")
    lake.put("events", JULY[0], table(n=[5, 10, 9]))
    for day in JULY[1:3]:
        lake.put("events", day, table(n=["text"]).slice(0, 0))
    assert _value(lake, "SELECT max(n) FROM events") == 10
    assert _value(lake, "SELECT any_value(typeof(n)) FROM events") == "BIGINT"
    assert _value(lake, f"SELECT count(n) FROM events_between('{JULY[1]}', '{JULY[3]}')") == 0
    with lake.connect() as session:
        table_ = session.table("events")
        assert not session.sql(table_.day_statement(Day.parse(JULY[1]), "none")).fetchall()


def test_a_nested_value_beside_scalars_is_json(make_lake, table) -> None:
    lake = make_lake("events")
    lake.put("events", JULY[0], table(x=["error"]))
    lake.put("events", JULY[1], table(x=[{"code": 5, "at": None}]))
    lake.put("events", JULY[2], table(x=[[1, None]]))
    with lake.connect() as session:
        rows = session.rows("SELECT x FROM events ORDER BY day")
        assert [row["x"] for row in rows] == ["error", '{"code":5}', "[1,null]"]
        assert session.rows(f"SELECT x.code FROM events WHERE day = '{JULY[1]}'") == [{"code": 5}]


def _wide(lake: HandMadeLake, days: int, names: int) -> None:
    """Each day has names of its own, at the top and in a sub-document."""
    tagged = pa.field("id", pa.string(), metadata={"bson": "objectId"})
    for number in range(days):
        own = {f"k{number}_{n}": pa.array([number, None]) for n in range(names)}
        text = {f"t{number}": pa.array(["a", None])}
        sub = pa.StructArray.from_arrays(
            [pa.array(["eu", "us"]), *own.values(), pa.array([b"\x01", None])],
            names=["region", *own, f"b{number}"],
        )
        columns = {"_id": pa.array([f"{number:024x}"] * 2), **own, **text, "meta": sub}
        columns["_rest"] = pa.array([f'{{"k{number}_0":{{"$numberInt":"{number}"}}}}', None])
        fields = [pa.field(name, array.type) for name, array in columns.items()]
        fields[0] = tagged.with_name("_id")
        schema = pa.schema([*fields, tagged.with_name(f"o{number}")])
        ids = pa.array([f"{number:024x}", None])
        lake.put("events", JULY[number], pa.table([*columns.values(), ids], schema=schema))


def test_names_beyond_the_bound_are_in_rest(make_lake, monkeypatch) -> None:
    monkeypatch.setattr("lake.query.merged.MAX_COLUMNS", 5)
    monkeypatch.setattr("lake.query.merged.MAX_MEMBERS", 1)
    lake = make_lake("events")
    _wide(lake, 3, 4)
    with lake.connect() as session:
        rows = session.rows("FROM events ORDER BY day, _rest NULLS LAST")
        # Lean and whole definitions in turn.
        assert session.rows("SELECT count(*) AS n FROM events") == [{"n": 6}]
        assert rows == session.rows("FROM events ORDER BY day, _rest NULLS LAST")
        assert session.rows("SELECT meta.region AS r FROM events LIMIT 1") == [{"r": "eu"}]
    assert len(rows) == 6
    assert len(rows[0]) <= 7  # with day and _rest
    for number in range(3):
        first, second = rows[2 * number : 2 * number + 2]
        assert first["meta"] == {"region": "eu"}
        rest = json.loads(first["_rest"])
        long = {"$numberLong": str(number)}
        assert rest[f"k{number}_0"] == {"$numberInt": str(number)}  # exact in the file's own
        kept = {name: value for name, value in first.items() if name.startswith(f"k{number}_")}
        for n in range(1, 4):
            name = f"k{number}_{n}"
            assert kept.get(name) == number or rest[name] == long
            assert rest["meta"][name] == long
        assert rest["meta"][f"b{number}"] == {"$binary": {"base64": "AQ==", "subType": "00"}}
        assert first.get(f"o{number}") or rest[f"o{number}"] == {"$oid": f"{number:024x}"}
        assert first.get(f"t{number}") or rest[f"t{number}"] == "a"
        assert second["_rest"] is None


@pytest.mark.parametrize("where", ["top", "sub"])
def test_a_catalog_of_many_names_is_small(make_lake, tmp_path: Path, where: str) -> None:
    lake = make_lake("events")
    for number, day in enumerate(JULY):
        own = {f"name_{number}_{n:04d}": pa.array([n]) for n in range(400)}
        if where == "sub":
            own = {"m": pa.StructArray.from_arrays(list(own.values()), names=list(own))}
        lake.put("events", day, pa.table({**own, "_rest": pa.nulls(1, pa.string())}))
    file = tmp_path / "lake.duckdb"
    with lake.connect() as session:
        write_catalog(session, file)
        assert session.rows("SELECT count(*) AS n FROM events") == [{"n": 7}]
    assert file.stat().st_size < 300_000 + 7 * 400 * 150


def test_one_object_that_is_gone(make_lake, table, tmp_path: Path) -> None:
    lake = make_lake("events")
    for number, day in enumerate(JULY):
        key = lake.put("events", day, table(n=[number]))
        if number == 3:
            lake.store.delete(key)
    assert _value(lake, f"SELECT sum(n) FROM events_between('{JULY[0]}', '{JULY[3]}')") == 3
    assert _value(lake, f"SELECT sum(n) FROM events WHERE day >= '{JULY[4]}'") == 4 + 5 + 6
    with lake.connect() as session:
        with pytest.raises((Missing, PermanentError), match=JULY[3]):
            session.rows("SELECT sum(n) FROM events")
        write_catalog(session, tmp_path / "lake.duckdb")
