"""NaN of MongoDB's doubles: SQL compares it as the largest number, and the query says so."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path

import pymongo
import pytest

from lake.base.day import Day
from lake.config.settings import load
from lake.export import Exporter
from lake.query import connect

_TIME = datetime(2026, 7, 1, 5, tzinfo=UTC)
_NAN = float("nan")
_DOCUMENTS = [
    {"cost": 1.5, "run": {"ms": _NAN}, "parts": [1.0, _NAN], "steps": [{"ms": 2.5}]},
    {"cost": _NAN, "run": {"ms": 2.5}, "parts": [3.5], "steps": [{"ms": _NAN}, {"ms": 1.5}]},
    {"cost": 7, "run": {"ms": 1.0}, "parts": [], "steps": []},
    {"cost": float("inf"), "run": {"ms": 3.0}, "parts": [], "steps": []},
]


@pytest.fixture
def jobs(tmp_path: Path, mongo_uri: str, mongo_database: str) -> Path:
    """Two days, of which only the first has NaN."""
    config = tmp_path / "lake.toml"
    config.write_text(
        f"""
[lake]
root = "lake"
[sources.mongo]
uri = "{mongo_uri}"
database = "{mongo_database}"
[[dataset]]
name = "jobs"
source = "mongo"
collection = "jobs"
"""
    )
    with pymongo.MongoClient(mongo_uri) as client:
        client[mongo_database]["jobs"].insert_many(
            [
                *({"timestamp": _TIME, **document} for document in _DOCUMENTS),
                {"timestamp": _TIME + timedelta(days=1), "cost": 2.5},
            ]
        )
    settings = load(config)
    exporter = Exporter(settings)
    try:
        for day in ("2026-07-01", "2026-07-02"):
            exporter.export(settings.dataset_named("jobs"), Day.parse(day))
    finally:
        exporter.close()
    return config


def _note(column: str) -> str:
    return (
        f"jobs: column {column} has 1 NaN on 1 day: SQL sorts and compares NaN as the largest "
        "number, MongoDB as the smallest and in no range; NOT isnan(…) leaves it out"
    )


@pytest.mark.parametrize(
    ("condition", "asked"),
    [
        ("cost > 5", {"cost": {"$gt": 5}}),
        ("cost >= 1.5", {"cost": {"$gte": 1.5}}),
        ("run.ms > 2", {"run.ms": {"$gt": 2}}),
    ],
)
def test_ranges(jobs: Path, mongo_uri, mongo_database, condition, asked) -> None:
    """What MongoDB finds is what SQL finds without NaN; with it there is a note."""
    with pymongo.MongoClient(mongo_uri) as client:
        right = client[mongo_database]["jobs"].count_documents(asked)
    column = condition.split()[0]
    statement = f"SELECT count(*) AS n FROM jobs WHERE {condition}"
    with connect(str(jobs)) as session:
        answer = session.ask(statement)
        ((rows,),) = answer.rows
        assert (rows, list(answer.notes)) == (right + 1, [_note(column)])
        assert session.rows(f"{statement} AND NOT isnan({column})") == [{"n": right}]


@pytest.mark.parametrize(
    ("statement", "columns"),
    [
        ("SELECT max(cost) FROM jobs", ["cost"]),
        ("SELECT min(j.run.ms) FROM jobs j", ["run.ms"]),
        ("SELECT cost AS c FROM jobs ORDER BY c", ["cost"]),
        ("SELECT timestamp, cost FROM jobs ORDER BY 2", ["cost"]),
        ("SELECT cost FROM jobs ORDER BY ALL", ["cost"]),
        ("SELECT count(*) FROM jobs WHERE cost * 2 > 5", ["cost"]),
        ("SELECT rank() OVER (ORDER BY cost) FROM jobs", ["cost"]),
        ("SELECT quantile_cont(cost, 0.5) FROM jobs", ["cost"]),
        ("SELECT list_max(parts) FROM jobs", ["parts"]),
        ("SELECT max(part) FROM (SELECT unnest(parts) AS part FROM jobs)", ["parts"]),
        ("SELECT max(s.ms) FROM (SELECT unnest(steps) AS s FROM jobs)", ["steps.ms"]),
        ("SELECT max(cost) FROM jobs WHERE day = '2026-07-01'", ["cost"]),
        ("SELECT max(cost) FROM jobs_between(DATE '2026-07-01', DATE '2026-07-02')", ["cost"]),
        ("SELECT max(cost) FROM jobs WHERE day = '2026-07-02'", []),
        ("SELECT * FROM jobs ORDER BY timestamp", []),
        ("SELECT timestamp, cost FROM jobs WHERE timestamp > '2026-01-01'", []),
        ("SELECT sum(cost), count(run.ms) FROM jobs", []),  # NaN as at the source
    ],
)
def test_statements(jobs: Path, statement, columns) -> None:
    with connect(str(jobs)) as session:
        notes = [*session.ask(statement).notes]
        of_arrow = [*session.ask_arrow(statement).notes]
    assert notes == of_arrow == [_note(column) for column in columns]


TREND = """-- The largest cost of a day
--
-- grain:      one row a day
-- input:      paid | documents
-- column:     paid.cost NUMBER = cost
-- parameters: from_day, to_day
-- x:          day
-- panel:      cost | lines | largest
--
SELECT day, max(cost) AS largest FROM paid GROUP BY day ORDER BY day
"""


def test_a_trend_of_ones_own(jobs: Path, run) -> None:
    folder = jobs.parent / "trends"
    folder.mkdir()
    (folder / "largest.sql").write_text(TREND)
    days = ("--from", "2026-07-01", "--to", "2026-07-03", "--config", str(jobs))
    code, _, err = run("trend", "largest", *days)
    assert (code, err.splitlines()) == (0, [_note("cost"), "2 rows"])


def test_lake_can(jobs: Path, run) -> None:
    _, out, _ = run("can", "SELECT max(cost) FROM jobs", "--config", str(jobs))
    assert _note("cost").removeprefix("jobs: ") in out
