"""Answers, erasures, rollups and their proof do not depend on the machine's time zone.

DuckDB's sessions begin in it, and so does every cursor of one.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pyarrow as pa
import pytest
from support.hand_made import HandMadeLake, hand_made_lake
from support.renamed_lake import renamed_history

DAYS = ("2026-07-01", "2026-07-02")
HOURS = (0, 12, 23)
PLACES = ("UTC", "Europe/Berlin", "Asia/Kolkata", "America/New_York")


def documents(day: str) -> pa.Table:
    """One at each of HOURS, and one without a date."""
    begin = datetime.fromisoformat(day).replace(tzinfo=UTC)
    times = [*(begin + timedelta(hours=hour) for hour in HOURS), None]
    columns = {
        "_id": [f"{day} {number}" for number in range(len(times))],
        "timestamp": pa.array(times, pa.timestamp("ms", "UTC")),
        "_rest": pa.nulls(len(times), pa.string()),
    }
    return pa.table(columns)


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> HandMadeLake:
    lake = hand_made_lake(tmp_path_factory.mktemp("zones"), "usage_analytics")
    for day in DAYS:
        lake.put("usage_analytics", day, documents(day))
    return lake


def run(config: Path, place: str, *arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "lake", *arguments, "--config", str(config)],
        env={**os.environ, "TZ": place},
        capture_output=True,
        text=True,
        check=False,
        timeout=120,
    )


@pytest.mark.parametrize("place", PLACES)
def test_an_erasure_takes_the_rows_of_its_condition_in_utc(made: HandMadeLake, place: str) -> None:
    done = run(
        made.config, place, "erase", "usage_analytics", "--dry-run", "--json",
        "--where", "\"timestamp\" < '2026-07-02 00:00:00'",
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    days = json.loads(done.stdout)["plan"]["days"]
    assert {day["day"]: day["matched"] for day in days} == {DAYS[0]: len(HOURS)}


@pytest.mark.parametrize("place", PLACES)
@pytest.mark.parametrize(
    ("condition", "rows"),
    [
        ("day = TIMESTAMPTZ '2026-07-02'", 4),
        ("day <= TIMESTAMPTZ '2026-07-02'", 8),
        ("\"timestamp\" >= '2026-07-01 23:00:00'", 4),
    ],
)
def test_a_condition_is_in_utc(made: HandMadeLake, place: str, condition: str, rows: int) -> None:
    statement = f"SELECT count(*) AS n FROM usage_analytics WHERE {condition}"
    done = run(made.config, place, "query", "--json", statement)
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout) == [{"n": rows}]


@pytest.mark.parametrize("place", PLACES)
def test_rollups_have_hours_of_utc(place: str, tmp_path: Path) -> None:
    lake = hand_made_lake(tmp_path, "usage_analytics")
    lake.put("usage_analytics", DAYS[1], documents(DAYS[1]))
    assert run(lake.config, place, "rollup").returncode == 0
    with lake.connect() as session:
        rows = session.rows("SELECT hour, requests FROM usage_analytics_hourly ORDER BY hour")
    begin = datetime.fromisoformat(DAYS[1]).replace(tzinfo=UTC)
    assert [(row["hour"], row["requests"]) for row in rows] == [
        (begin + timedelta(hours=hour), 2 if hour == 0 else 1) for hour in HOURS
    ]


def test_rollups_are_proven_wherever_the_machine_is(tmp_path: Path) -> None:
    """Of each system: their statements cut hours."""
    datasets = ("usage_analytics", "http_server_requests", "container_logs")
    lake, _ = renamed_history(tmp_path, first=DAYS[0], days=1, datasets=datasets)
    for place in ("UTC", "Asia/Kolkata"):
        if place == "UTC":
            assert run(lake.config, place, "rollup").returncode == 0
        done = run(lake.config, place, "verify")
        assert "0 with a difference" in done.stdout, (place, done.stdout)
    assert all(f"{name} {DAYS[0]}" in done.stdout for name in datasets)
