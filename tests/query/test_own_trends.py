"""The user's own trends: files beside lake.toml."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from support.demo_history import History

from lake.base.errors import BadData
from lake.trends.files import read_trend

GOOD = """-- Requests a month
--
-- grain:      one row a month
-- input:      asked | documents
-- column:     asked.user VARCHAR = userId
-- optional:   asked.nothing BIGINT = "a.b".c
-- parameters: from_day, to_day, every
-- every:      month
-- x:          month
-- panel:      requests | bars | requests
--
-- note: a colon in prose is no key.
SELECT period_start(day, $every, $from_day) AS month, count("user") AS requests,
       count(nothing) AS nothing
FROM asked GROUP BY ALL
"""


@pytest.fixture
def own(history: History, tmp_path: Path):
    """The history's lake with a configuration of its own, and its folder of trends."""
    config = tmp_path / "lake.toml"
    text = history.lake.config.read_text()
    config.write_text(text.replace('root = "lake"', f'root = "{history.lake.settings.lake.root}"'))
    folder = tmp_path / "trends"
    folder.mkdir()
    return config, folder


def test_a_file_is_a_trend(own, history, run) -> None:
    config, folder = own
    (folder / "monthly.sql").write_text(GOOD)
    status, out, _ = run("trend", "--json", "--config", config)
    listed = {row["trend"]: row for row in json.loads(out)}
    assert status == 0
    assert listed["monthly"]["shows"] == "Requests a month"
    assert listed["monthly"]["reads"] == "usage_analytics"
    days = ["--from", "2026-07-01", "--to", "2026-07-08", "--json", "--config", config]
    status, out, err = run("trend", "monthly", *days)
    assert status == 0, err
    total = sum(1 for _ in history.requests())
    assert json.loads(out) == [{"month": "2026-07-01", "requests": total, "nothing": 0}]


def test_a_file_with_a_byte_order_mark_and_crlf(tmp_path: Path) -> None:
    plain, marked = tmp_path / "plain/monthly.sql", tmp_path / "marked/monthly.sql"
    for file, text in ((plain, GOOD), (marked, "\ufeff" + GOOD.replace("\n", "\r\n"))):
        file.parent.mkdir()
        file.write_bytes(text.encode())
    assert read_trend(marked).sql == read_trend(plain).sql
    assert read_trend(marked).description == read_trend(plain).description


def test_a_statement_that_reads_a_dataset_by_name(own, run) -> None:
    config, folder = own
    text = GOOD.replace("input:      asked | documents", "inputs: usage_analytics")
    text = "\n".join(line for line in text.splitlines() if " asked." not in line)
    text = text.replace("FROM asked", "FROM usage_analytics_between($from_day, $to_day)")
    text = text.replace('"user"', '"userId"').replace("count(nothing)", "count(_rest)")
    (folder / "named.sql").write_text(text)
    days = ["--from", "2026-07-01", "--to", "2026-07-03", "--json", "--config", config]
    status, out, err = run("trend", "named", *days)
    assert status == 0, err
    assert json.loads(out)[0]["requests"] > 0


def test_another_folder(own, run) -> None:
    config, folder = own
    folder.rename(folder.with_name("mine"))
    (folder.with_name("mine") / "monthly.sql").write_text(GOOD)
    config.write_text(config.read_text().replace("[lake]", '[lake]\ntrends = "mine"', 1))
    _, out, _ = run("trend", "--json", "--config", config)
    assert "monthly" in {row["trend"] for row in json.loads(out)}


def test_the_name_of_a_built_in_trend(own, run) -> None:
    config, folder = own
    (folder / "error_rate.sql").write_text(GOOD)
    status, _, err = run("trend", "--config", config)
    assert status == 2
    assert "a trend 'error_rate' is built in" in err
    assert str(folder / "error_rate.sql") in err


def test_an_error_of_the_sql_names_the_file(own, run) -> None:
    config, folder = own
    (folder / "monthly.sql").write_text(GOOD.replace("count(nothing)", "count(nothign)"))
    days = ["--from", "2026-07-01", "--to", "2026-07-03", "--config", config]
    status, _, err = run("trend", "monthly", *days)
    assert status == 2
    assert str(folder / "monthly.sql") in err
    assert "nothign" in err
    # The line is the file's.
    number = GOOD.splitlines().index("       count(nothing) AS nothing") + 1
    assert f"LINE {number}:" in err


@pytest.mark.parametrize(
    ("old", "new", "line", "expected"),
    [
        ("-- Requests a month", "SELECT 1", 1, "a description"),
        ("-- grain:      one row a month\n", "", 1, "grain"),
        ("| documents", "| papers", 4, "NAME | documents"),
        ("| documents", "| counter", 4, "metrics follow a counter"),
        ("asked.user VARCHAR = userId", "asked.user = userId", 5, "TYPE = PATH, for documents"),
        ("asked.user VARCHAR", "other.user VARCHAR", 5, "INPUT is one of asked"),
        ("asked.user VARCHAR", "asked.day VARCHAR", 5, "no other column has"),
        ('"a.b".c', '"a.b"c', 6, "a path such as"),
        ("from_day, to_day, every", "from_day, every", 7, "from_day, to_day"),
        ("to_day, every\n", "to_day, until\n", 7, "metric, by"),
        ("every:      month", "every:      fortnight", 8, "one of day, week, month"),
        ("-- x:          month", "-- x:", 9, "a value of 'x'"),
        ("-- x:          month", "-- every: day", 9, "one line 'every'"),
        ("-- x:          month", "-- xx:         month", 9, "one of grain, input"),
        ("-- every:      month", "-- evry: month", 8, "one of grain, input"),
        ("-- every:      month", "-- either: asked", 8, "two or more of inputs of metrics"),
        ("| bars |", "| pie |", 10, "label | lines, bars, stacked | columns"),
    ],
)
def test_a_wrong_header(tmp_path: Path, old: str, new: str, line: int, expected: str) -> None:
    assert old in GOOD
    file = tmp_path / "wrong.sql"
    file.write_text(GOOD.replace(old, new))
    with pytest.raises(BadData, match="wrong header of a trend") as raised:
        read_trend(file)
    assert raised.value.parts["where"] == f"{file}, line {line}"
    assert expected in raised.value.parts["expected"]


def test_inputs_of_which_one_is_enough(tmp_path: Path) -> None:
    inputs = "-- input:      two | counter | a, b\n-- input:      one | histogram | c\n"
    file = tmp_path / "either.sql"
    start = "-- parameters:"
    file.write_text(GOOD.replace(start, f"{inputs}-- either: one, two\n{start}"))
    needs = {need.name: need for need in read_trend(file).needs}
    assert {name for name, need in needs.items() if need.either} == {"one", "two"}
    assert (needs["one"].kind, needs["one"].metrics) == ("histogram", ("c",))
    for wrong in ("one", "one, asked", "one, three"):
        file.write_text(GOOD.replace(start, f"{inputs}-- either: {wrong}\n{start}"))
        with pytest.raises(BadData) as raised:
            read_trend(file)
        assert raised.value.parts["expected"] == "two or more of two, one"


@pytest.mark.parametrize(
    ("kind", "column"),
    [
        *(("counter | a", f"{name} = job") for name in ("day", "metric", "iNCREASE", "series_id")),
        *(("histogram | a", f"{name} = job") for name in ("lower", "upper", "increase")),
        *(("lines", f"{name} = job") for name in ("stream_id", "level", "lines", "bytes")),
        ("documents", "day DATE = sent"),
    ],
)
def test_columns_that_an_input_has_already(tmp_path: Path, kind: str, column: str) -> None:
    file, start = tmp_path / "twice.sql", "-- parameters:"
    lines = f"-- input:      more | {kind}\n-- optional:   more.{column}\n{start}"
    file.write_text(GOOD.replace(start, lines))
    with pytest.raises(BadData) as raised:
        read_trend(file)
    assert raised.value.parts["expected"] == "a name that no other column has"
    same = "k VARCHAR = k" if kind == "documents" else "k = k"
    again = f"-- optional:   more.{same}\n{start}"
    file.write_text(GOOD.replace(start, lines.replace(column, same)))
    assert read_trend(file).needs[1].columns[0].name == "k"
    file.write_text(GOOD.replace(start, lines.replace(column, same).replace(start, again)))
    with pytest.raises(BadData, match="wrong header of a trend") as raised:
        read_trend(file)
    assert raised.value.parts["expected"] == "a name that no other column has"


@pytest.mark.parametrize(("kind", "name"), [("counter | a", "metric"), ("lines", "level")])
def test_a_column_that_is_the_same(tmp_path: Path, kind: str, name: str) -> None:
    file, start = tmp_path / "same.sql", "-- parameters:"
    lines = f"-- input:      more | {kind}\n-- column:     more.{name} = {name}\n{start}"
    file.write_text(GOOD.replace(start, lines))
    assert read_trend(file).needs[1].columns[0].labels == (name,)


def test_a_good_header(tmp_path: Path) -> None:
    file = tmp_path / "good.sql"
    file.write_text(GOOD)
    trend = read_trend(file)
    assert (trend.every, trend.x, trend.keys) == ("month", "month", ())
    assert [column.path for column in trend.needs[0].columns] == [("userId",), ("a.b", "c")]


def test_a_wrong_file_is_no_obstacle_for_other_trends(own, run) -> None:
    config, folder = own
    (folder / "wrong.sql").write_text("SELECT 1")
    (folder / "folder.sql").mkdir()
    days = ["--from", "2026-07-01", "--to", "2026-07-03", "--config", config]
    assert run("trend", "daily_requests", *days)[0] == 0
    status, _, err = run("trend", "--config", config)
    assert status == 1
    assert f"{folder / 'wrong.sql'}, line 1" in err
    (folder / "wrong.sql").unlink()
    assert run("trend", "--config", config)[0] == 0


@pytest.mark.parametrize(
    ("old", "new", "expected"),
    [
        ("-- x:          month", "-- x:          moth", "a column moth of type DATE"),
        ("$every, $from_day) AS month", "$every, $from_day)::VARCHAR AS month", "of type DATE"),
        ("| bars | requests", "| bars | reqests", "a column reqests of numbers"),
        ('count("user") AS requests', "'many' AS requests", "a column requests of numbers"),
        ("-- panel:  ", "-- series: who\n-- panel:  ", "a column who"),
        ("-- panel:  ", "-- keys: who\n-- panel:  ", "a column who"),
    ],
)
def test_columns_that_the_answer_does_not_have(own, run, old: str, new: str, expected: str) -> None:
    config, folder = own
    assert old in GOOD
    file = folder / "monthly.sql"
    file.write_text(GOOD.replace(old, new))
    days = ["--from", "2026-07-01", "--to", "2026-07-03", "--config", config]
    for options in ([], ["--weekly"], ["--compare"], ["--png", folder / "plot.png"]):
        # A range with a Monday: 6 July.
        wider = ["--from", "2026-07-01", "--to", "2026-07-07", "--config", config]
        status, _, err = run("trend", "monthly", *(wider if options else days), *options)
        assert status == 2, options
        assert f"where: {file}" in err
        assert expected in err


def test_a_parameter_that_the_header_does_not_name(own, run) -> None:
    config, folder = own
    file = folder / "monthly.sql"
    days = ["--from", "2026-07-01", "--to", "2026-07-03", "--config", config]
    quoted = """FROM asked WHERE '$a' <> $$ $b $$ /* $c */ AND "user" <> '' -- $d"""
    file.write_text(GOOD.replace("FROM asked", quoted + "\n"))
    assert run("trend", "monthly", *days)[0] == 0
    file.write_text(GOOD.replace("FROM asked", "FROM asked WHERE day <> $untill"))
    status, _, err = run("trend", "monthly", *days)
    assert status == 2
    assert f"where: {file}" in err
    assert "found: $untill" in err


def test_two_statements_name_the_file(own, run) -> None:
    config, folder = own
    (folder / "monthly.sql").write_text(GOOD + "; SELECT 2")
    status, _, err = run(
        "trend", "monthly", "--from", "2026-07-01", "--to", "2026-07-03", "--config", config
    )
    assert status == 2
    assert "one statement" in err
    assert str(folder / "monthly.sql") in err
