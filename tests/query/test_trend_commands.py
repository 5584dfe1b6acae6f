"""`lake trend` and `lake catalog` as one types them.

Belongs here: the commands over a week of history, their options and messages. Does not: what a
trend answers (test_trends.py).
"""

from __future__ import annotations

import json
import subprocess
import sys
from datetime import date
from pathlib import Path

import duckdb
import pytest


def test_trend(history, run, tmp_path: Path) -> None:
    config = ["--config", history.lake.config]
    status, out, err = run("trend", "error_rate", "--quarter", "2026q3", "--json", *config)
    rows = json.loads(out)
    assert status == 0
    assert {row["day"] for row in rows} == {str(day) for day in history.scenario.each_day()}
    assert "http_server_requests: 85 of 92 days are not in the lake (2026-07-08" in err
    days = ["--from", "2026-07-02", "--to", "2026-07-04"]
    status, out, err = run("trend", "daily_requests", *days, "--csv", *config)
    assert [line.partition(",")[0] for line in out.splitlines()] == [
        "day",
        "2026-07-02",
        "2026-07-03",
    ]
    assert (status, err) == (0, "")
    file, nowhere = tmp_path / "plot.png", tmp_path / "no" / "plot.png"
    assert run("trend", "daily_requests", *days, "--png", file, *config)[0] == 0
    assert file.read_bytes().startswith(b"\x89PNG")
    status, _, err = run("trend", "daily_requests", *days, "--png", nowhere, *config)
    assert status == 1
    assert "the plot can't be written" in err


@pytest.mark.parametrize(
    "options",
    [
        ["--png", "plot.png"], ["--metric", "jobs_total"], ["--by", "job"], ["--compare"],
        ["--weekly"], ["--quarter", "2026Q3"], ["--dataset", "logs"], ["--from", "2026-07-01"],
    ],
)  # fmt: skip
def test_the_list_of_trends_takes_no_options_of_a_trend(history, run, options: list[str]) -> None:
    status, out, err = run("trend", *options, "--config", history.lake.config)
    assert (status, out) == (2, "")
    assert "no trend is named" in err
    assert options[0] in err


def test_a_trend_writes_each_row_once_to_a_pipe(history, run) -> None:
    days = ("--from", "2026-07-02", "--to", "2026-07-05", "--config", history.lake.config)
    status, out, err = run("trend", "daily_requests", *days)
    assert status == 0
    shown = [line.split()[0] for line in out.splitlines()]
    assert shown == ["day", "2026-07-02", "2026-07-03", "2026-07-04"]
    assert "3 rows" in err


def test_a_trend_reports_values_that_its_columns_leave_out(make_lake, table, run) -> None:
    lake = make_lake("usage_analytics")
    row = table(userId=["u"], response=[{"totalLatencyMs": 7}])
    left_out = {"response.totalLatencyMs": 3}
    lake.put("usage_analytics", "2026-07-01", row, left_out=left_out)
    days = ["--from", "2026-07-01", "--to", "2026-07-02"]
    status, out, err = run("trend", "daily_requests", *days, "--json", "--config", lake.config)
    assert (status, len(json.loads(out))) == (0, 1)
    assert err == (
        "usage_analytics: column response.totalLatencyMs leaves out 3 values on 1 day "
        "(see _rest, _raw)\n"
    )


def test_trends_are_listed(lake, run) -> None:
    status, out, _ = run("trend", "--json", "--config", lake.config)
    listed = {row["trend"]: row for row in json.loads(out)}
    assert status == 0
    assert listed["documents"]["reads"] == "events"
    assert listed["error_rate"]["reads"] is None
    assert listed["error_rate"]["lacks"] == "no dataset of metrics"
    assert listed["daily_requests"]["lacks"] == "no field userId; no field response.totalLatencyMs"
    assert all(row["shows"] for row in listed.values())


def test_the_last_92_days_are_the_default(history, run) -> None:
    _, out, err = run("trend", "daily_requests", "--json", "--config", history.lake.config)
    assert json.loads(out) == []
    assert "usage_analytics: 92 of 92 days" in err


def test_catalog_opens_in_plain_duckdb(history, run, tmp_path: Path) -> None:
    file = tmp_path / "folder" / "lake.duckdb"
    config = ["--config", history.lake.config]
    for _ in range(2):  # an older catalog is replaced
        status, out, _ = run("catalog", file, *config)
        assert status == 0
    assert [path.name for path in file.parent.iterdir()] == ["lake.duckdb"]
    with duckdb.connect() as connection:
        connection.execute(out)
        requests = sum(1 for _ in history.requests())
        assert connection.sql("SELECT count(*) FROM usage_analytics").fetchall() == [(requests,)]
        between = "usage_analytics_between(quarter_start('2026Q3'), DATE '2026-07-03')"
        assert connection.sql(f"SELECT DISTINCT day FROM {between} ORDER BY day").fetchall() == [
            (date(2026, 7, 1),),
            (date(2026, 7, 2),),
        ]
        views = {name for (name,) in connection.sql("SHOW TABLES").fetchall()}
        names = {dataset.name for dataset in history.lake.settings.dataset}
        assert views == names | {"container_logs_with_level", "lake_catalog"}


def test_catalog_of_a_lake_without_a_dataset(make_lake, run, tmp_path: Path) -> None:
    config = ["--config", make_lake().config]
    status, out, _ = run("catalog", tmp_path / "lake.duckdb", *config)
    assert status == 0
    with duckdb.connect() as connection:
        connection.execute(out)
        assert connection.sql("FROM lake_catalog").fetchall() == []
        assert connection.sql("FROM lake_catalog_missing()").fetchall() == []
    assert "has no table. With" in run("catalog", tmp_path / "spark.json", "--spark", *config)[1]


def test_catalog_tells_a_program_how_it_is_opened(lake, run, tmp_path: Path) -> None:
    file = tmp_path / "lake's.duckdb"
    status, out, err = run("catalog", file, "--json", "--config", lake.config)
    printed = json.loads(out)
    assert (status, err) == (0, "")
    assert (printed["file"], printed["tables"]) == (str(file), ["events"])
    with duckdb.connect() as connection:
        for statement in printed["open"]:
            connection.execute(statement)
        assert connection.sql("SELECT sum(n) FROM events").fetchall() == [(3,)]


def test_a_catalog_replaces_nothing_else(lake, run, tmp_path: Path) -> None:
    database, text = tmp_path / "mine.duckdb", tmp_path / "notes.txt"
    with duckdb.connect(str(database)) as connection:
        connection.execute("CREATE TABLE work AS SELECT 42 AS answer")
    text.write_text("not to be lost, either " * 1000)
    for file, words in ((database, "the tables work"), (text, "not a catalog")):
        status, _, err = run("catalog", file, "--config", lake.config)
        assert status == 2
        assert words in err
    with duckdb.connect(str(database)) as connection:
        assert connection.sql("FROM work").fetchall() == [(42,)]
    assert text.read_text().startswith("not to be lost")


@pytest.mark.slow
def test_a_catalog_that_another_program_has_open(lake, run, tmp_path: Path) -> None:
    """What only reads it does not keep it from being replaced."""
    file = tmp_path / "lake.duckdb"
    command = ("catalog", file, "--config", lake.config)
    assert run(*command)[0] == 0
    for read_only, expected in ((False, 1), (True, 0)):
        program = (
            f"import duckdb; opened = duckdb.connect({str(file)!r}, read_only={read_only}); "
            "print('opened', flush=True); input()"
        )
        with subprocess.Popen(
            [sys.executable, "-c", program],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        ) as other:
            assert other.stdout.readline() == "opened\n"
            status, _, err = run(*command)
            other.communicate("\n")
        assert status == expected
        assert ("another program has opened the file for writing" in err) == bool(expected)


def test_a_trend_starts_lean(history) -> None:
    """What takes long to import is not imported for a table of numbers."""
    code = f"""
import sys
sys.modules["pandas"] = None  # of the extra `notebook`: DuckDB imports it where it is installed
sys.argv = ["lake", "trend", "daily_requests", "--csv", "--quarter", "2026Q3",
            "--config", {str(history.lake.config)!r}]
from contextlib import suppress
from lake.cli import main
with suppress(SystemExit):
    main()
heavy = {{"boto3", "botocore", "pyarrow", "matplotlib", "numpy", "pandas", "dagster", "requests",
          "pymongo", "rich"}}
print(sorted(name for name in heavy if sys.modules.get(name)))
"""
    ran = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=60
    )
    assert ran.stdout.splitlines()[-1] == "[]"
