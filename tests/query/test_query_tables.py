"""Each dataset as a view and as a range macro, over days of one or of several schemas."""

from __future__ import annotations

import json
import random
from datetime import UTC, date, datetime
from decimal import Decimal

import pyarrow as pa
import pytest

from lake.base.day import Day
from lake.base.errors import PermanentError, UsageError
from lake.partition.layout import manifest_key

JULY = [f"2026-07-{day:02d}" for day in range(1, 8)]
_ALL = "(DATE '2026-07-01', DATE '2026-08-01')"


def test_view_and_range_show_the_days_that_have_a_manifest(make_lake, table) -> None:
    lake = make_lake("events")
    for number, day in enumerate(JULY):
        lake.put("events", day, table(n=[number, number + 100]))
    lake.put("events", "2026-07-08", table(n=[999]), manifest=False)
    with lake.connect() as session:
        everything = session.rows("SELECT day, n FROM events ORDER BY n")
        between = session.rows(
            "FROM events_between(DATE '2026-07-02', DATE '2026-07-04') ORDER BY day, n"
        )
    assert [row["n"] for row in everything] == [*range(7), *range(100, 107)]
    assert between == [
        {"day": date(2026, 7, 2), "n": 1},
        {"day": date(2026, 7, 2), "n": 101},
        {"day": date(2026, 7, 3), "n": 2},
        {"day": date(2026, 7, 3), "n": 102},
    ]


@pytest.mark.parametrize(
    "question",
    [
        "SELECT sum(n) AS n FROM events_between(DATE '2026-07-02', DATE '2026-07-04')",
        "SELECT sum(n) AS n FROM events_between('2026-07-02', '2026-07-04')",
        "SELECT sum(n) AS n FROM events_between(DATE '2026-07-04' - 2, TIMESTAMP '2026-07-04')",
        "SELECT sum(n) AS n FROM events_between(from_day := '2026-07-02', to_day := '2026-07-04')",
        "SELECT sum(n) AS n FROM events WHERE day >= '2026-07-02' AND day < '2026-07-04'",
        "SELECT sum(n) AS n FROM events WHERE day IN (DATE '2026-07-02', DATE '2026-07-03')",
    ],
)
def test_only_the_asked_days_objects_are_opened(make_lake, table, question: str) -> None:
    lake = make_lake("events")
    for number, day in enumerate(JULY):
        key = lake.put("events", day, table(n=[number]))
        if day not in ("2026-07-02", "2026-07-03"):
            lake.store.write(key, b"opening this is an error")
    with lake.connect() as session:
        assert session.rows(question) == [{"n": 1 + 2}]
        with pytest.raises(PermanentError, match="a read failed"):
            session.rows("SELECT sum(n) FROM events_between('2026-07-02', '2026-07-05')")


def test_days_of_a_range_may_be_prepared_parameters(make_lake, table) -> None:
    lake = make_lake("events")
    for number, day in enumerate(JULY):
        lake.put("events", day, table(n=[number]))
    days = {"from_day": date(2026, 7, 2), "to_day": date(2026, 7, 4)}
    with lake.connect() as session:
        question = "SELECT sum(n) AS n FROM events_between($from_day, $to_day)"
        assert session.rows(question, days) == [{"n": 3}]
        assert session.sql(question, days).fetchall() == [(3,)]


def test_a_range_without_days_has_all_columns_and_no_row(make_lake, table) -> None:
    lake = make_lake("events")
    lake.put("events", JULY[0], table(n=[1], llm=[{"model": "m", "tokens": 5}]))
    with lake.connect() as session:
        for question in (
            "FROM events_between(DATE '2026-08-01', DATE '2026-09-01')",
            "FROM events_between(DATE '2026-07-01', DATE '2026-07-01')",
            "FROM events_between(DATE '2026-07-02', DATE '2026-07-01')",
            "FROM events_between(NULL, DATE '2026-07-01')",
        ):
            relation = session.sql(question)
            assert relation.columns == ["day", "n", "llm"]
            assert str(relation.types[2]) == "STRUCT(model VARCHAR, tokens BIGINT)"
            assert relation.fetchall() == []


def test_a_dataset_without_a_day_is_empty_and_errors_say_so(make_lake, table) -> None:
    lake = make_lake("events", "nothing_yet")
    with lake.connect() as session:
        assert session.rows("SELECT count(*) AS n FROM nothing_yet") == [{"n": 0}]
        assert session.rows("FROM nothing_yet_between('2026-01-01', '2027-01-01')") == []
        with pytest.raises(UsageError, match="nothing_yet has no day in the lake yet"):
            session.rows("SELECT tokens FROM nothing_yet")


def test_columns_come_go_and_widen(make_lake, table) -> None:
    lake = make_lake("events")
    lake.put(
        "events",
        JULY[0],
        table(
            a=([1], pa.int32()),
            gone=["x"],
            llm=[{"model": "m", "tokens": 5}],
            price=([Decimal("1.5")], pa.decimal128(3, 1)),
            parts=[[{"p": 1}]],
        ),
    )
    lake.put("events", JULY[1], table(a=([], pa.int32())))  # a day without rows
    lake.put(
        "events",
        JULY[2],
        table(
            a=([2.5], pa.float64()),
            llm=[{"Model": "n", "cost": {"credits": 0.5}}],
            new=[[1, 2]],
            price=([Decimal("10.25")], pa.decimal128(6, 2)),
            parts=[[{"p": 2, "q": "w"}, None]],
        ),
    )
    with lake.connect() as session:
        for source in ("events", f"events_between{_ALL}"):
            first, last = session.rows(f"FROM {source} ORDER BY day")
            assert first == {
                "day": date(2026, 7, 1),
                "a": 1.0,
                "gone": "x",
                "llm": {"Model": "m", "tokens": 5, "cost": None},
                "new": None,
                "price": Decimal("1.50"),
                "parts": [{"p": 1, "q": None}],
            }
            assert last == {
                "day": date(2026, 7, 3),
                "a": 2.5,
                "gone": None,
                "llm": {"Model": "n", "tokens": None, "cost": {"credits": 0.5}},
                "new": [1, 2],
                "price": Decimal("10.25"),
                "parts": [{"p": 2, "q": "w"}, None],
            }
        question = "SELECT day FROM events WHERE a = 2.5 AND llm.cost.credits > 0.4"
        assert session.rows(question) == [{"day": date(2026, 7, 3)}]


def test_a_filter_sees_the_values_and_not_the_files_types(make_lake, table) -> None:
    """Where the days' types differ the reader's own comparison must not round constants."""
    lake = make_lake("events")
    values = [-4, -3, 0, 2, 3, 2**53 + 1]
    lake.put("events", JULY[0], table(n=[1] * 6, x=(values, pa.int64()), s=[{"x": -4}] * 6))
    lake.put("events", JULY[1], table(n=[2] * 2, x=[-3.5, 2.5], s=[{"x": -3.5}, {"x": None}]))
    lake.put("events", JULY[2], table(n=[3], x=([None], pa.null())))
    lake.put("events", JULY[3], table(n=[4]))
    lake.put("events", JULY[4], table(n=[5], x=([Decimal("2.50")], pa.decimal128(6, 2))))
    with lake.connect() as session:
        session.sql("CREATE TABLE copied AS FROM events")
        for condition in (
            "x < -3.5", "x > 2.5", "x >= 2.5", "x = 2.5", "x <> 2", "x IN (2, 2.5)", "x IS NULL",
            "x IS NOT NULL", "s.x < -3.5", "s.x IS NULL", "x BETWEEN -3.6 AND 2.4", "x > s.x",
        ):  # fmt: skip
            expected = session.rows(f"SELECT n, x FROM copied WHERE {condition} ORDER BY ALL")
            for source in ("events", f"events_between{_ALL}"):
                query = f"SELECT n, x FROM {source} WHERE {condition} ORDER BY ALL"
                assert session.rows(query) == expected, condition


def test_a_number_that_a_wider_type_rounds_is_exact_in_rest(make_lake, table) -> None:
    lake = make_lake("events")
    exact, rounded = 2**53 + 1, float(2**53)
    nothing = ([None, None], pa.string())
    lake.put(
        "events",
        JULY[0],
        table(
            x=[exact, 7],
            s=[{"x": exact, "in": {"y": exact, "z": 1}}, {"x": 7, "in": {"y": 1, "z": exact}}],
            several=[[exact, None, 1], [1]],
            parts=[
                [{"x": exact, "t": datetime(2026, 7, 1, tzinfo=UTC), "w": "w", "gone": None}, {}],
                None,
            ],
            price=([Decimal("12345678901234567.89"), Decimal("0.10")], pa.decimal128(20, 2)),
            _rest=(['{"x2":null,"s":{"more":{"$numberInt":"1"}}}', None], pa.string()),
        ),
    )
    lake.put(
        "events",
        JULY[1],
        table(
            x=[0.5, None],
            s=[{"x": 0.5, "in": {"y": 0.5}}, None],
            several=[[0.5], None],
            parts=[[{"x": 0.5}], None],
            price=[0.5, None],
            _rest=nothing,
        ),
    )
    with lake.connect() as session:
        for source in ("events", f"events_between{_ALL}"):
            question = f"FROM {source} ORDER BY x DESC LIMIT 2"  # both days, so both types
            first, second = session.rows(question)
            assert first["x"] == first["s"]["x"] == first["several"][0] == rounded
            assert second["x"] == 7.0
            assert second["price"] == 0.1
            long = {"$numberLong": str(exact)}
            assert json.loads(first["_rest"]) == {
                "x": long,
                "x2": None,
                "s": {"x": long, "in": {"y": long}, "more": {"$numberInt": "1"}},
                "several": [long, None, {"$numberLong": "1"}],
                "parts": [
                    {"x": long, "t": {"$date": {"$numberLong": "1782864000000"}}, "w": "w"},
                    {},
                ],
                "price": {"$numberDecimal": "12345678901234567.89"},
            }
            assert second["_rest"] is None
            assert [row["_rest"] for row in session.rows(f"FROM {source} WHERE x = 0.5")] == [None]


@pytest.mark.parametrize(
    ("digits", "scale"), [(15, 2), (16, 2), (18, 2), (38, 2), (25, 22), (25, 23), (38, 30)]
)
def test_decimals_beside_doubles_are_the_nearest_double(
    make_lake, table, digits: int, scale: int
) -> None:
    chance = random.Random(digits)
    numbers = [Decimal(chance.randrange(10 ** (1 + n % digits))) for n in range(300)]
    values = [number.scaleb(-scale) for number in [*numbers, Decimal(10**scale // 10)]]
    type_ = pa.decimal128(digits, scale)
    struct = pa.array([{"n": value} for value in values], pa.struct([("n", type_)]))
    lists = pa.array([[value] for value in values], pa.list_(type_))
    day = pa.table({"i": range(len(values)), "x": pa.array(values, type_), "s": struct, "l": lists})
    lake = make_lake("events")
    lake.put("events", JULY[0], day)
    lake.put("events", JULY[1], table(i=[-1], x=[0.5], s=[{"n": 0.5}], l=[[0.5]]))
    with lake.connect() as session:
        rows = session.rows("SELECT x, s.n AS n, l[1] AS l FROM events WHERE i >= 0 ORDER BY i")
    expected = [float(value) for value in values]
    assert [row["x"] for row in rows] == expected
    assert [row["n"] for row in rows] == expected
    assert [row["l"] for row in rows] == expected


def test_values_of_several_types_are_plain_text(make_lake, table) -> None:
    lake = make_lake("events")
    at = datetime(2026, 7, 1, 1, 2, 3, 456000, tzinfo=UTC)
    millis = pa.timestamp("ms", "UTC")
    values = {
        JULY[0]: (["plain"], pa.string()),
        JULY[1]: ([9007199254740993], pa.int64()),
        JULY[2]: ([float("nan")], pa.float64()),
        JULY[3]: ([at], millis),
        JULY[4]: ([b"\xff\x00"], pa.binary()),
        JULY[5]: ([[{"n": 1, "at": at, "absent": None}, None]], None),
        JULY[6]: ([Decimal("12345678901234567890.10")], pa.decimal128(38, 2)),
    }
    for day, (value, kind) in values.items():
        inside = pa.array([{"x": value[0]}], pa.struct([("x", kind)]) if kind else None)
        lake.put("events", day, table(x=(value, kind), s=(inside,), n=[1]))
    lake.put("events", "2026-07-08", table(x=([None], pa.string()), n=[1]))
    expected = [
        "plain",
        "9007199254740993",
        "NaN",
        "2026-07-01T01:02:03.456Z",
        "/wA=",
        '[{"n":1,"at":"2026-07-01T01:02:03.456Z"},null]',
        "12345678901234567890.1",
        None,
    ]
    with lake.connect() as session:
        for source in ("events", f"events_between{_ALL}"):
            rows = session.rows(f"SELECT x, s.x AS inside, n FROM {source} ORDER BY day")
            assert [row["x"] for row in rows] == expected
            assert [row["inside"] for row in rows] == expected
            assert all(row["n"] == 1 for row in rows)
            relation = session.sql(f"FROM {source}")
            types = dict(zip(relation.columns, relation.types, strict=True))
            assert str(types["x"]) == "VARCHAR"
            assert str(types["s"]) == "STRUCT(x VARCHAR)"


_HOSTILE = (
    "from_day", "to_day", "d", "filename", "file_row_number", "c0", "c1", "rowid", "Day of week",
    "select", 'quo"te', "apo'strophe", "a.b", "x,y)", "{}", "ключ", "v0", "\\", "$from_day", "--",
    "list_filter", "usage_between", " ", "day\n",
)  # fmt: skip


def test_fields_may_have_any_name(make_lake, table) -> None:
    lake = make_lake("events")
    fields = {name: number for number, name in enumerate(_HOSTILE)}
    row = pa.table({name: [value] for name, value in fields.items()} | {"sub": [fields]})
    lake.put("events", JULY[0], row)
    # Another type of each, so that the common type has to be made by a cast, too.
    words = {name: str(value) for name, value in fields.items()}
    lake.put("events", JULY[1], pa.table({k: [v] for k, v in words.items()} | {"sub": [words]}))
    with lake.connect() as session:
        for source in ("events", f"events_between{_ALL}", "events_between('2026-07-01', $end)"):
            first, second = session.rows(
                f"FROM {source} ORDER BY day", {"end": date(2026, 8, 1)} if "$" in source else None
            )
            for name, value in fields.items():
                assert first[name] == first["sub"][name] == str(value)
                assert second[name] == second["sub"][name] == str(value)


def test_names_that_differ_in_case_from_day_to_day(make_lake) -> None:
    """SQL takes A and a for one name, Ж and ж for two."""
    lake = make_lake("events")
    for day, names in ((JULY[0], ("Ab", "Жук")), (JULY[1], ("aB", "жук"))):
        inner = dict.fromkeys(names, 1)
        lake.put("events", day, pa.table({name: [1] for name in names} | {"s": [inner]}))
    with lake.connect() as session:
        for source in ("events", f"events_between{_ALL}"):
            first, second = session.rows(f"FROM {source} ORDER BY day")
            assert first["s"] == {"aB": 1, "Жук": 1, "жук": None}
            assert second["s"] == {"aB": 1, "Жук": None, "жук": 1}
            assert first.items() >= first["s"].items()
            assert second.items() >= second["s"].items()


def test_a_path_with_the_signs_of_a_pattern(make_lake, table) -> None:
    lake = make_lake("events", where="it's [a] *strange* place?")
    lake.put("events", JULY[0], table(n=[1]))
    with lake.connect() as session:
        assert session.rows("SELECT n FROM events") == [{"n": 1}]
        assert session.rows(f"SELECT n FROM events_between{_ALL}") == [{"n": 1}]


def test_a_day_taken_back_is_gone(make_lake, table) -> None:
    lake = make_lake("events")
    for day in JULY[:2]:
        lake.put("events", day, table(n=[1]))
    lake.store.delete(manifest_key("events", Day.parse(JULY[0])))
    with lake.connect() as session:
        assert session.rows("SELECT day FROM events") == [{"day": date(2026, 7, 2)}]


def test_tables_are_found_however_they_are_named(make_lake, table) -> None:
    lake = make_lake("events", "others")
    lake.put("events", JULY[0], table(n=[1]))
    lake.put("others", JULY[0], table(n=[2]))
    with lake.connect() as session:
        assert session.rows('SELECT e.n, o.n AS m FROM EVENTS e JOIN "Others" o USING (day)') == [
            {"n": 1, "m": 2}
        ]
    with lake.connect() as session:
        assert [row["name"] for row in session.rows("SHOW TABLES")] == ["events", "others"]
    with lake.connect() as session:
        assert session.rows("SELECT sum(n) AS n FROM events") == [{"n": 1}]
        assert session.rows("SELECT n FROM query_table('oth' || 'ers')") == [{"n": 2}]


def test_wrong_sql_is_wrong_usage(make_lake) -> None:
    with make_lake("events").connect() as session:
        for wrong in ("SELEC 1", "SELECT nothing_like_it", "FROM elsewhere", "SELECT nofun(1)"):
            with pytest.raises(UsageError, match="the SQL is wrong"):
                session.rows(wrong)
        with pytest.raises(PermanentError, match="the query failed"):
            session.rows("SELECT CAST('x' AS INTEGER)")


def test_nothing_is_downloaded_and_times_are_utc(make_lake) -> None:
    with make_lake("events").connect() as session:
        assert session.rows(
            "SELECT date_trunc('day', TIMESTAMPTZ '2026-07-01 23:00:00+00') AS t"
        ) == [{"t": datetime(2026, 7, 1, tzinfo=UTC)}]
        settings = "SELECT value FROM duckdb_settings() WHERE name LIKE 'auto%_known_extensions'"
        assert session.rows(settings) == [{"value": "false"}] * 2
