"""`lake query` as one types it: its forms of output, where its SQL comes from, what is wrong usage.

Belongs here: the command, in this process and on a terminal. Does not: `lake trend` and
`lake catalog` (test_trend_commands.py), files of answers (test_answer_files.py).
"""

from __future__ import annotations

import csv
import io
import json
import os
import pty
import subprocess
import sys
import termios
from contextlib import suppress
from pathlib import Path

import pytest
from rich.cells import cell_len

from lake.cli.pager import show

_VALUES = """
SELECT 9007199254740993 AS big, 12345678901234567890.10::DECIMAL(38, 2) AS exact, 0.1::DOUBLE AS f,
       'nan'::DOUBLE AS nan, NULL AS nothing, '' AS empty, 'a,"b"' AS text, true AS yes,
       DATE '2026-07-01' AS d, TIMESTAMPTZ '2026-07-01 12:00:00.5+09' AS ts, '\\xFF'::BLOB AS bytes,
       {'a': 1, 'b': [1.50, NULL]} AS s, MAP {'k': DATE '2026-07-01'} AS m, 1 AS yes
"""


def test_json_is_a_list_of_row_objects(lake, run) -> None:
    status, out, err = run("query", _VALUES, "--json", "--config", lake.config)
    assert (status, err) == (0, "")
    (row,) = json.loads(out)
    assert row == {
        "big": 9007199254740993,
        "exact": 12345678901234567890.10,
        "f": 0.1,
        "nan": "NaN",
        "nothing": None,
        "empty": "",
        "text": 'a,"b"',
        "yes": True,
        "d": "2026-07-01",
        "ts": "2026-07-01T03:00:00.500000Z",
        "bytes": "/w==",
        "s": {"a": 1, "b": [1.5, None]},
        "m": {"k": "2026-07-01"},
        "yes_1": 1,
    }
    assert '"exact": 12345678901234567890.10' in out
    assert (
        json.loads(run("query", "FROM events WHERE n > 9", "--json", "--config", lake.config)[1])
        == []
    )


def test_months_and_nanoseconds_are_those_of_duckdb(lake, run) -> None:
    """In Python a month is 30 days, and a nanosecond nothing."""
    columns = {
        "INTERVAL 3 MONTH": "3 months",
        "age(DATE '2026-07-15', DATE '2026-03-01')": "4 months 14 days",
        "TIMESTAMP_NS '2026-07-01 00:00:00.123456789'": "2026-07-01T00:00:00.123456789",
        "make_timestamp_ns(1795175400000000001)": "2026-11-20T11:50:00.000000001",
        "NULL::INTERVAL": None,
        "[{'INTERVAL': INTERVAL 3 MONTH, 'n': 1}]": [{"INTERVAL": "3 months", "n": 1}],
        "'INTERVAL'::ENUM('INTERVAL')": "INTERVAL",
        "TIMESTAMPTZ '2026-07-02 01:00:00Z' - TIMESTAMPTZ '2026-07-01 00:00:00Z'": "1 day 01:00:00",
        "'é;'": "é;",
    }
    selected = ", ".join(f"{sql} AS a" for sql in columns)
    for sql in (
        f"SELECT {selected}",
        f"/* é; */ SELECT {selected}\nORDER BY 1; -- ;",
        f"WITH w AS (SELECT {selected}) FROM w;",
    ):
        status, out, _ = run("query", sql, "--json", "--config", lake.config)
        assert (status, list(json.loads(out)[0].values())) == (0, list(columns.values()))
    days = "SELECT i, i * INTERVAL 1 MONTH FROM range(5000) t(i) ORDER BY i DESC"
    _, out, _ = run("query", days, "--csv", "--config", lake.config)
    assert [int(line.split(",")[0]) for line in out.splitlines()[1:]] == [*range(4999, -1, -1)]
    # Without a month, as a difference of instants is.
    sql = (
        "SELECT day, max(day + TIME '01:30:00') - min(day)::TIMESTAMP AS d FROM events GROUP BY day"
    )
    _, out, _ = run("query", sql, "--json", "--config", lake.config)
    assert {row["d"] for row in json.loads(out)} == {"1:30:00"}


def test_csv(lake, run) -> None:
    _, out, _ = run("query", _VALUES, "--csv", "--config", lake.config)
    header, row = csv.reader(io.StringIO(out))
    values = dict(zip(header[:-1], row, strict=False))
    assert values["big"] == "9007199254740993"
    assert values["exact"] == "12345678901234567890.10"
    assert values["text"] == 'a,"b"'
    assert values["nothing"] == values["empty"] == ""
    assert ',,"",' in out  # NULL, then an empty text
    assert json.loads(values["s"]) == {"a": 1, "b": [1.5, None]}


def test_a_table_for_people(lake, run, monkeypatch: pytest.MonkeyPatch) -> None:
    status, out, err = run("query", "FROM events ORDER BY day", "--config", lake.config)
    assert (status, err) == (0, "3 rows\n")
    assert out.splitlines()[0].split() == ["day", "n", "line", "more"]
    assert out.splitlines()[1].split() == ["2026-07-01", "0", r"a\x1b[31mred\nline", "NULL"]


def test_floats_in_nested_values_are_shown_as_those_alone(lake, run) -> None:
    x = "CAST(2 AS DOUBLE) / 3"
    question = f"SELECT {x} AS a, [{x}, 1e-9] AS b, {{'c': [{x}]}} AS d, ['inf'::DOUBLE] AS e"
    _, out, _ = run("query", question, "--config", lake.config)
    assert out.splitlines()[1].split() == [
        "0.6667", "[0.6667,", "1e-09]", '{"c":', "[0.6667]}", '["Infinity"]'
    ]  # fmt: skip
    _, out, _ = run("query", question, "--json", "--config", lake.config)
    assert json.loads(out)[0]["d"] == {"c": [2 / 3]}  # all digits where programs read


def test_a_pipe_gets_every_row_aligned(lake, run) -> None:
    question = "SELECT i, repeat('가', (i % 3)::BIGINT) || 'x' AS t, i AS j FROM range(2500) t(i)"
    _, out, err = run("query", question, "--config", lake.config)
    lines = out.splitlines()
    assert err == "2,500 rows\n"
    assert [line.split() for line in lines[1:]] == [
        [str(i), "가" * (i % 3) + "x", str(i)] for i in range(2500)
    ]
    # Of the first rows, whose widths decide, every line ends in the same column of a terminal.
    assert len({cell_len(line) for line in lines[:1000]}) == 1
    assert len(run("query", question, "--csv", "--config", lake.config)[1].splitlines()) == 2501
    assert len(json.loads(run("query", question, "--json", "--config", lake.config)[1])) == 2500


def on_a_terminal(*arguments: object, columns: int = 100) -> tuple[list[str], int]:
    """The lines that `lake` writes to a terminal of that width, and its exit status."""
    ours, theirs = pty.openpty()
    termios.tcsetwinsize(theirs, (40, columns))
    command = [sys.executable, "-m", "lake", *map(str, arguments)]
    environment = {**os.environ, "TERM": "dumb"}
    with subprocess.Popen(command, stdout=theirs, stderr=theirs, env=environment) as process:
        os.close(theirs)
        written = b""
        # A pseudo-terminal that nobody writes to any more ends in EIO.
        with suppress(OSError):
            while piece := os.read(ours, 65_536):
                written += piece
        status = process.wait(60)
    os.close(ours)
    return written.decode().splitlines(), status


def test_a_terminal_shows_the_first_rows_and_says_so(lake) -> None:
    config = ("--config", lake.config)
    question = "SELECT i FROM range(2500) t(i)"
    lines, status = on_a_terminal("query", question, *config)
    assert status == 0
    assert [line.strip() for line in lines[:101]] == ["i", *map(str, range(100))]
    assert "The first 100 of 2,500 rows. --rows 0 shows all" in " ".join(lines[-2:])
    all_of_them, _ = on_a_terminal("query", question, "--rows", 0, *config)
    assert [line.strip() for line in all_of_them] == ["i", *map(str, range(2500)), "2,500 rows"]
    three, _ = on_a_terminal("query", question, "--rows", 3, *config)
    assert [line.strip() for line in three[:4]] == ["i", "0", "1", "2"]


@pytest.mark.parametrize("pager", ["", "no-such-program", "less 'unended"])
def test_a_pager_that_cannot_be_started_is_none(monkeypatch, capsys, pager: str) -> None:
    monkeypatch.setenv("PAGER", pager)
    monkeypatch.setenv("TERM", "xterm")
    monkeypatch.setattr(sys.stdin, "isatty", lambda: True)
    lines = [f"{number}\n" for number in range(90)]
    show(lines, 10)
    assert capsys.readouterr().out == "".join(lines)


def test_a_terminal_too_narrow_gets_a_line_a_field(lake) -> None:
    wide = ", ".join(f"'{'x' * 40}' AS column_{number}" for number in range(9))
    question = f"SELECT {wide} FROM range(2500)"
    lines, _ = on_a_terminal("query", question, "--config", lake.config, columns=60)
    assert sum("column_" in line for line in lines) == 10 * 9
    assert sum(line.startswith("row ") for line in lines) == 10
    assert "The first 10 of 2,500 rows" in "".join(lines[-3:])


def test_sql_from_a_file_and_from_standard_input(lake, run, tmp_path: Path, monkeypatch) -> None:
    file = tmp_path / "question.sql"
    file.write_text("-- how many\nSELECT count(*) AS n FROM events;\n")
    expected = [{"n": 3}]
    assert json.loads(run("query", file, "--json", "--config", lake.config)[1]) == expected
    monkeypatch.setattr(sys, "stdin", io.StringIO(file.read_text()))
    assert json.loads(run("query", "-", "--json", "--config", lake.config)[1]) == expected
    assert (
        json.loads(run("query", file.read_text(), "--json", "--config", lake.config)[1]) == expected
    )


@pytest.mark.parametrize(
    ("arguments", "text"),
    [
        (["query", "SELEC 1"], "syntax error"),
        (["query", "SELECT 1 FROM nowhere"], "the tables are events"),
        (["query", "SELECT 1 FROM usage_analytics"], "remedy: the tables are events"),
        (["query", "SELECT 1 FROM columns"], "remedy: the tables are events"),
        (["query", "SELECT 1 FROM event"], "did you mean events?"),
        (["query", "SELECT nope FROM events"], "similar columns: "),
        (["query", "FROM events_between(1)"], "call it as events_between(from_day, to_day)"),
        (["query", ""], "no SQL"),
        (["query", "missing.sql"], "not a readable SQL file"),
        (["query", "SELECT 1", "--csv", "--json"], "exclude each other"),
        (["trend", "nothing_like_it"], "daily_requests"),
        (["trend", "x", "--quarter", "2026Q5"], "such as 2026Q3"),
        (
            ["trend", "daily_requests", "--from", "2026-07-02", "--to", "2026-07-01"],
            "--from before",
        ),
        (["trend", "x", "--from", "2026-07-02"], "--from and --to belong together"),
        (["trend", "daily_requests"], "no field userId"),
    ],
)
def test_wrong_usage(lake, run, arguments: list[str], text: str) -> None:
    status, out, err = run(*arguments, "--config", lake.config)
    assert (status, out) == (2, "")
    assert text in err


def test_a_comment_of_one_word_may_precede_the_sql(lake, run) -> None:
    status, out, _ = run("query", "--note\nSELECT 7 AS n", "--csv", "--config", lake.config)
    assert (status, out) == (0, "n\n7\n")


def test_a_read_that_fails_is_no_wrong_usage(lake, run) -> None:
    lake.store.write("tables/events/day=2026-07-02/data.parquet", b"broken")
    status, _, err = run("query", "SELECT sum(n) FROM events", "--config", lake.config)
    assert status == 1
    assert "2026-07-02/data.parquet" in err
    assert "lake verify" in err


def test_holes_are_told(make_lake, table, run) -> None:
    lake = make_lake("holed", "whole", "nothing_yet")
    for day in ("2026-06-28", "2026-07-01", "2026-07-04", "2026-07-05"):
        lake.put("holed", day, table(n=[1]))
    lake.put("whole", "2026-07-01", table(n=[1]))

    def remarks(question: str) -> list[str]:
        status, out, err = run("query", question, "--json", "--config", lake.config)
        assert (status, len(json.loads(out))) == (0, 1)
        return err.splitlines()

    holes = (
        "holed: 4 of 8 days from 2026-06-28 to 2026-07-05 are not in the lake "
        "(2026-06-29, 2026-06-30, 2026-07-02, …)"
    )
    both = "SELECT count(*) FROM nothing_yet, holed"
    assert remarks(both) == [holes, "nothing_yet: no day is in the lake yet"]
    assert remarks("SELECT sum(n) FROM Holed") == [holes]
    assert remarks("SELECT n FROM whole") == []
    assert remarks("SELECT 1") == []


@pytest.mark.parametrize("form", ["--json", "--csv", "--rows=0"])
def test_half_an_answer_is_none(lake, run, form: str) -> None:
    question = "SELECT CASE WHEN i = 300000 THEN error('boom') ELSE i END FROM range(400000) t(i)"
    status, out, err = run("query", question, form, "--config", lake.config)
    assert (status, out) == (1, "")
    first, *remedy = (line.strip() for line in err.splitlines()[1:])
    if first == "found: Interrupted!":  # DuckDB's own race, in 1 of 40 runs
        assert remedy[0].startswith("remedy: run the query again")
    else:
        assert (first, remedy) == ("found: boom", [])


@pytest.mark.parametrize("form", ["--json", "--csv"])
def test_a_long_answer_waits_on_disk(lake, run, form: str, monkeypatch, tmp_path: Path) -> None:
    monkeypatch.setattr("lake.cli.rows._IN_MEMORY", 1000)
    question = "SELECT i, 'a\r\n\u20acb' AS t FROM range(5000) t(i)"
    out = run("query", question, form, "--config", lake.config)[1]
    read = (
        json.loads(out) if form == "--json" else list(csv.DictReader(io.StringIO(out, newline="")))
    )
    assert [(int(row["i"]), row["t"]) for row in read] == [(i, "a\r\n\u20acb") for i in range(5000)]
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path / "gone"))
    status, out, err = run("query", question, form, "--config", lake.config)
    assert (status, out) == (1, "")
    assert "set TMPDIR" in err
