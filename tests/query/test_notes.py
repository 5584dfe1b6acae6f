"""What an answer lacks: days that are not in the lake, values that a column leaves out."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from pathlib import Path

import bson
import pymongo
import pytest

from lake.base.day import Day
from lake.config.settings import load
from lake.export import Exporter
from lake.query import connect

_DAYS = ("2026-06-28", "2026-06-29", "2026-07-02")
_MONGO = """
[lake]
root = "lake"
[sources.mongo]
uri = "{uri}"
database = "{database}"
[[dataset]]
name = "orders"
source = "mongo"
collection = "orders"
"""


@pytest.fixture
def holed(make_lake, table):
    lake = make_lake("events", "others")
    for day in _DAYS:
        lake.put("events", day, table(n=[1]))
    lake.put("others", "2026-07-01", table(n=[1]))
    return lake


@pytest.mark.parametrize(
    ("question", "columns"),
    [
        ("SELECT n FROM events ORDER BY ALL", ["n"]),
        ("SELECT m, count(*) FROM events GROUP BY ALL ORDER BY ALL DESC NULLS FIRST", ["m"]),
        ("FROM (SELECT m FROM events ORDER BY ALL) SELECT count(m)", ["m"]),
        ("SELECT n FROM events UNION SELECT m FROM events ORDER BY ALL", ["m", "n"]),
        ("SELECT count(*) FROM events GROUP BY day ORDER BY ALL", []),
        ("SELECT * FROM events ORDER BY ALL", ["m", "n"]),
        ("SELECT COLUMNS('m') FROM events ORDER BY ALL", ["m", "n"]),
        ("SELECT n FROM events ORDER BY COLUMNS(c -> c = 'm')", ["m", "n"]),
    ],
)
def test_order_by_all_reads_what_is_selected(make_lake, table, question, columns) -> None:
    lake = make_lake("events")
    lake.put("events", _DAYS[0], table(n=[1], m=[1], x=["a"]), left_out={"n": 3, "m": 3})
    with lake.connect() as session:
        notes = session.ask(question).left_out
    assert [note.split()[2] for note in notes] == columns


@pytest.mark.parametrize(
    ("question", "columns"),
    [
        ("SELECT max(n) FROM events", ["n"]),
        ("SELECT min(e.m.n) FROM events e", ["m.n"]),
        ("SELECT k FROM events ORDER BY n DESC", ["n"]),
        ("SELECT k FROM events WHERE n > '4'", ["n"]),
        ("SELECT k FROM events WHERE n BETWEEN '1' AND '3'", ["n"]),
        ("SELECT row_number() OVER (ORDER BY n) FROM events", ["n"]),
        ("SELECT list(k ORDER BY n) FROM events", ["n"]),
        ("SELECT max_by(k, N) FROM events", ["n"]),
        ("SELECT max_by(n, k) FROM events", []),
        ("SELECT k FROM events WHERE n = '4'", []),
        ("SELECT n, count(*) FROM events GROUP BY n", []),
        ("SELECT max(TRY_CAST(n AS DOUBLE)) FROM events", []),
        ("SELECT TRY_CAST(n AS DOUBLE) AS n FROM events ORDER BY n", []),
        ("SELECT max(k) FROM events WHERE day >= '2026-06-28'", []),
        (f"SELECT max(n) FROM events WHERE day = '{_DAYS[0]}'", []),
        (f"SELECT max(n) FROM events_between('{_DAYS[1]}', '{_DAYS[2]}')", []),
    ],
)
def test_a_column_that_is_sorted_as_text_is_named(make_lake, table, question, columns) -> None:
    """It is of integers on one day: as text 10 is before 9."""
    lake = make_lake("events")
    for day, values in zip(_DAYS, ([9, 10], ["a", "5"], ["b", "c"]), strict=True):
        lake.put("events", day, table(n=values, m=[{"n": n} for n in values], k=[1, 2]))
    with lake.connect() as session:
        notes = [note for note in session.ask(question).notes if "not in the lake" not in note]
    assert notes == [
        f"events: column {column} has several types (VARCHAR on 2 days, BIGINT on 1 day): it is "
        "compared and sorted as text"
        for column in columns
    ]


@pytest.mark.parametrize(
    ("question", "named"),
    [
        ("SELECT sum(len(tags)) FROM events", True),
        ("SELECT e.tags[1] FROM events e", True),
        ("SELECT tags[1:2] FROM events", True),
        ("SELECT count(*) FROM events WHERE 'x' IN tags", True),
        ("SELECT list_extract(tags, 1) FROM events", True),
        ("SELECT count(tags) FROM events", False),
        ("SELECT len(k) FROM events", False),
        (f"SELECT len(tags) FROM events WHERE day = '{_DAYS[0]}'", False),
        ("SELECT len(TRY_CAST(TRY_CAST(tags AS JSON) AS JSON[])) FROM events", False),
    ],
)
def test_the_length_of_an_array_that_is_text_on_other_days(
    make_lake, table, question, named
) -> None:
    """What takes arrays takes texts, too: it counts the characters of the array's JSON."""
    lake = make_lake("events")
    lake.put("events", _DAYS[0], table(tags=[["xy", "z"], ["x"]], k=["a", "b"]))
    for day in _DAYS[1:]:
        lake.put("events", day, table(tags=["x", "word"], k=["a", "b"]))
    with lake.connect() as session:
        notes = [note for note in session.ask(question).notes if "not in the lake" not in note]
    sentence = (
        "events: column tags has several types (VARCHAR on 2 days, LIST on 1 day): its arrays are "
        "JSON text, whose length and parts are characters"
    )
    assert notes == ([sentence] if named else [])


@pytest.mark.parametrize(
    ("question", "expected"),
    [
        (
            "SELECT n FROM events_between(DATE '2026-07-01', DATE '2026-07-04')",
            ["events: 2 of 3 days from 2026-07-01 to 2026-07-03 are not in the lake "
             "(2026-07-01, 2026-07-03)"],
        ),
        ("SELECT n FROM events_between(DATE '2026-06-28', DATE '2026-06-30')", []),
        (
            "SELECT n FROM events WHERE day >= '2026-06-29' AND day < '2026-07-03'",
            ["events: 2 of 4 days from 2026-06-29 to 2026-07-02 are not in the lake "
             "(2026-06-30, 2026-07-01)"],
        ),
        ("SELECT n FROM events WHERE day < '2026-06-30'", []),
        (
            "SELECT n FROM events WHERE day = '2026-07-01'",
            ["events: 1 of 1 day is not in the lake (2026-07-01)"],
        ),
        ("SELECT n FROM events WHERE day = '2026-07-02'", []),
        (
            "SELECT n FROM events WHERE day = '2026-07-02' OR day = '2026-07-03'",
            ["events: 1 of 2 days from 2026-07-02 to 2026-07-03 is not in the lake (2026-07-03)"],
        ),
        (
            "SELECT n FROM events WHERE n > 0 AND (day IN ('2026-07-02', '2026-07-03') OR "
            "(day >= '2026-07-04' AND n = 2 AND '2026-07-05' > day))",
            ["events: 2 of 3 days from 2026-07-02 to 2026-07-04 are not in the lake "
             "(2026-07-03, 2026-07-04)"],
        ),
        ("SELECT n FROM events WHERE day < '2026-06-29' OR day = '2026-06-29'", []),
        (
            "SELECT n FROM events WHERE day = '2026-07-03' OR n = 1",
            ["events: 2 of 5 days from 2026-06-28 to 2026-07-02 are not in the lake "
             "(2026-06-30, 2026-07-01)"],
        ),
        (
            "SELECT n FROM events WHERE day >= '2026-08-01'",
            ["events: no day from 2026-08-01 on is in the lake"],
        ),
        (
            "SELECT n FROM events WHERE day < '2026-01-01'",
            ["events: no day before 2026-01-01 is in the lake"],
        ),
        (
            "SELECT n FROM events WHERE day >= '2026-07-02' AND day < '2199-12-31'",
            ["events: 63368 of 63369 days from 2026-07-02 to 2199-12-30 are not in the lake "
             "(2026-07-03, 2026-07-04, 2026-07-05, …)"],
        ),
        ("SELECT n FROM events WHERE day >= '2026-07-02' AND day < '9999-12-30'", []),
        ("SELECT n FROM events_between('0001-01-01', '2026-06-30')", []),
        (
            "SELECT n FROM events_between(DATE '2026-07-02', DATE '2026-07-01')",
            ["events: the range has no day: from 2026-07-02 to 2026-07-01, which is exclusive"],
        ),
        (
            "SELECT n FROM events WHERE day > '2026-07-01' AND day < '2026-07-02'",
            ["events: the range has no day: from 2026-07-02 to 2026-07-02, which is exclusive"],
        ),
        (
            "SELECT n FROM events_between(DATE '2026-07-02', DATE '2026-07-04') "
            "UNION ALL SELECT n FROM others_between(DATE '2026-07-01', DATE '2026-07-02')",
            ["events: 1 of 2 days from 2026-07-02 to 2026-07-03 is not in the lake (2026-07-03)"],
        ),
    ],
)  # fmt: skip
def test_missing_days_of_the_range(holed, question: str, expected: list[str]) -> None:
    with holed.connect() as session:
        assert list(session.ask(question).notes) == expected


def test_notes_are_on_standard_error_only(holed, run) -> None:
    question = "SELECT n FROM events_between(DATE '2026-07-01', DATE '2026-07-03')"
    note = "events: 1 of 2 days from 2026-07-01 to 2026-07-02 is not in the lake (2026-07-01)\n"
    assert run("query", question, "--json", "--config", holed.config)[2] == note
    status, out, err = run("query", question, "--csv", "--config", holed.config)
    assert (status, out, err) == (0, "n\n1\n", note)
    out = run("query", question, "--json", "--config", holed.config)[1]
    assert json.loads(out) == [{"n": 1}]


@pytest.fixture
def orders(tmp_path: Path, mongo_uri: str, mongo_database: str) -> Path:
    """The configuration of a lake with 2 days; the first has a number among texts."""
    config = tmp_path / "lake.toml"
    config.write_text(_MONGO.format(uri=mongo_uri, database=mongo_database))
    days = {"2026-07-01": ["new", "paid", 7, "sent", "back"], "2026-07-02": ["new", "paid"]}
    with pymongo.MongoClient(mongo_uri) as client:
        for day, values in days.items():
            noon = datetime.fromisoformat(f"{day}T12:00:00").replace(tzinfo=UTC)
            client[mongo_database]["orders"].insert_many(
                {
                    "_id": bson.ObjectId.from_datetime(noon).binary.hex() + str(number),
                    "timestamp": noon,
                    "status": value,
                    "n": number,
                }
                for number, value in enumerate(values)
            )
    settings = load(str(config), {})
    exporter = Exporter(settings)
    try:
        for day in days:
            exporter.export(settings.dataset_named("orders"), Day.parse(day))
    finally:
        exporter.close()
    return config


def test_values_left_out_of_a_column_that_is_read(orders: Path, run) -> None:
    note = "orders: column status leaves out 1 value on 1 day (see _rest, _raw)"
    with connect(str(orders)) as session:
        for question in (
            "SELECT status, count(*) AS n FROM orders GROUP BY status",
            "FROM orders",
            "SELECT o.status FROM orders o WHERE day = '2026-07-01'",
            "SELECT n FROM orders WHERE status = 'new'",
        ):
            assert list(session.ask(question).notes) == [note], question
        for question in (
            "SELECT sum(n) AS n FROM orders",
            "SELECT count(*) AS n FROM orders",
            "SELECT status FROM orders WHERE day = '2026-07-02'",
        ):
            assert list(session.ask(question).notes) == [], question
    status, out, err = run(
        "query", "SELECT count(status) AS n FROM orders", "--json", "--config", orders
    )
    assert (status, json.loads(out)) == (0, [{"n": 6}])  # 7 documents, one without a text
    assert "orders: column status leaves out 1 value on 1 day" in err


def test_describe_counts_values_left_out(orders: Path, run) -> None:
    out = run("describe", "orders", "--json", "--config", orders)[1]
    (described,) = json.loads(out)
    columns = {column["column"]: column for column in described["columns"]}
    assert (described["days"], described["rows"]) == (2, 7)
    assert {k: columns["status"][k] for k in ("days", "rows", "left_out")} == {
        "days": 2, "rows": 6, "left_out": 1
    }  # fmt: skip
    assert {k: columns["n"][k] for k in ("days", "rows", "left_out")} == {
        "days": 2, "rows": 7, "left_out": 0
    }  # fmt: skip


def test_the_columns_with_most_values_left_out_are_named(make_lake, table) -> None:
    lake = make_lake("events")
    left_out = {f"c{number}": number + 1 for number in range(12)} | {"a.*": 100, "*": 50}
    lake.put("events", "2026-07-01", table(n=[1]), left_out=left_out)
    with lake.connect() as session:
        notes = list(session.ask("FROM events").notes)
    assert notes[:3] == [
        "events: names without a column (a.*) leave out 100 values on 1 day (see _rest, _raw)",
        "events: names without a column (*) leave out 50 values on 1 day (see _rest, _raw)",
        "events: column c11 leaves out 12 values on 1 day (see _rest, _raw)",
    ]
    # 8 of the 12 columns are named: 1 + 2 + 3 + 4 values are in the others.
    assert notes[10:] == ["events: 4 more paths leave out 10 values"]


def test_names_that_are_columns_on_other_days(make_lake, table) -> None:
    """`meta.*` and `*` stand for many names; those that the day has as columns are not left out."""
    lake = make_lake("events")
    lake.put("events", "2026-07-01", table(n=[1], meta=[{"a": 1}]), left_out={"meta.*": 3, "*": 2})
    lake.put("events", "2026-07-02", table(n=[1], meta=[{"a": 1, "k7": 2}], x=[1]))
    below = "events: names without a column (meta.*) leave out 3 values on 1 day (see _rest, _raw)"
    top = "events: names without a column (*) leave out 2 values on 1 day (see _rest, _raw)"
    with lake.connect() as session:
        for question, expected in (
            ("SELECT meta.k7 FROM events", [below]),
            ("SELECT e.meta.k7 FROM events e", [below]),
            ("SELECT meta FROM events", [below]),
            ("SELECT x FROM events", [top]),
            ("SELECT events.x FROM events", [top]),
            ("SELECT meta.k7, x FROM events", [below, top]),
            ("SELECT meta.a FROM events", []),
            ("SELECT e.n, day FROM events e", []),
            ("SELECT count(*) AS total FROM events ORDER BY total", []),
            ("SELECT meta.k7, x FROM events WHERE day = '2026-07-02'", []),
        ):
            assert list(session.ask(question).notes) == expected, question


def test_a_field_whose_name_has_a_dot(make_lake, table) -> None:
    lake = make_lake("events")
    lake.put("events", "2026-07-01", table(**{"n": [1], "a.b": ["x"]}), left_out={"a.b": 2_000})
    with lake.connect() as session:
        for question in ('SELECT "a.b" FROM events', 'SELECT e."A.b" FROM events e'):
            (note,) = session.ask(question).notes
            assert note == "events: column a.b leaves out 2,000 values on 1 day (see _rest, _raw)"
        assert list(session.ask("SELECT n FROM events").notes) == []


def test_paths_that_the_manifest_does_not_name(make_lake, table) -> None:
    lake = make_lake("events")
    for day, others in (("2026-07-01", 1), ("2026-07-02", 3)):
        details = {"left_out": {"n": 1}, "left_out_others": {"paths": others, "values": 600}}
        lake.put("events", day, table(n=[1]), details=details)
    with lake.connect() as session:
        first, second = session.ask("SELECT n FROM events").notes
        assert first == "events: column n leaves out 2 values on 2 days (see _rest, _raw)"
        assert second == "events: 3 more paths leave out 1,200 values (paths not in the manifest)"
        (_, second) = session.ask("SELECT n FROM events WHERE day = '2026-07-01'").notes
        assert second == "events: 1 more path leaves out 600 values (paths not in the manifest)"
        assert list(session.ask("SELECT count(*) FROM events").notes) == []


def test_names_given_to_the_columns_of_unnest(make_lake, table) -> None:
    """The statement is understood: only the days and columns that it reads are reported."""
    lake = make_lake("events")
    for day in ("2026-07-01", "2026-07-02"):
        lake.put("events", day, table(n=[1], items=[[1, 2]]), left_out={"n": 4, "items": 2})
    days = "events_between(DATE '2026-07-01', DATE '2026-07-02')"
    with lake.connect() as session:
        inner = session.ask(f"SELECT (SELECT sum(v) FROM unnest(items) AS u(v)) FROM {days}")
        assert (list(inner.rows), inner.notes) == (
            [(3,)],
            ("events: column items leaves out 2 values on 1 day (see _rest, _raw)",),
        )
        joined = session.ask(f"SELECT sum(v) FROM {days}, unnest(items) AS u(v)")
        assert (list(joined.rows), joined.notes) == ([(3,)], inner.notes)
        # Columns of a dataset under other names: any of them may be meant.
        renamed = session.ask(f"SELECT count(a) FROM {days} AS e(a)")
        assert len(renamed.notes) == 2


def test_a_gauge_is_said_to_be_no_counter(history, run) -> None:
    """As Prometheus remarks of increase() over it. The rows are what they were."""
    remark = "dialogue_metrics: {} may be no counter, for its name does not end in "
    gauge, days = "dialogue_pipeline_active", "DATE '2026-07-01', DATE '2026-07-03'"
    call = f"samples_increase_by_day('dialogue_metrics', '{{}}', {days})"
    with history.lake.connect() as session:
        answer = session.ask(f"FROM {call.format(gauge)}")
        assert list(answer.rows)
        assert [note for note in answer.notes if note.startswith(remark.format(gauge))]
        assert session.ask(f"FROM {call.format('llm_tokens_total')}").notes == ()
    options = ("--from", "2026-07-01", "--to", "2026-07-03", "--config", history.lake.config)
    for metric, expected in ((gauge, 1), ("llm_tokens_total", 0)):
        status, _, err = run("trend", "counter", "--metric", metric, *options)
        assert (status, err.count(remark.format(metric))) == (0, expected)
