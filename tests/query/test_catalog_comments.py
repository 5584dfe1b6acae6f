"""What the catalog file says of itself: comments, its age, the days that it lacks."""

from __future__ import annotations

from dataclasses import asdict
from datetime import UTC, date, datetime, timedelta
from pathlib import Path

import duckdb
import pyarrow as pa
import pytest
from support.renamed_lake import renamed_history

from lake.partition.layout import rollup_key, rollup_manifest_key
from lake.partition.manifest import Manifest, write_manifest


@pytest.fixture
def lake(make_lake):
    lake = make_lake("events", "empty", "container_logs")
    for day in ("2026-07-01", "2026-07-02"):
        time = pa.array(
            [datetime.fromisoformat(f"{day}T12:00:00+00:00")], pa.timestamp("ms", "UTC")
        )
        columns = {"timestamp": time, "latency_ms": [1.5], "user": ["x"]}
        if day > "2026-07-01":
            columns["it's new"] = [1]
        lake.put("events", day, pa.table(columns), left_out={"user": 3, "user.a": 4})
        lines = {
            "ts": time.cast(pa.timestamp("us", "UTC")),
            "ts_ns": [1],
            "line": ["x"],
            "app": ["y"],
        }
        lake.put("container_logs", day, pa.table(lines))
    key = "manifests/events/2026-07-01.json"
    manifest = asdict(Manifest.from_bytes(lake.store.read(key), key))
    rules = [{"path": "user", "rule": "hash", "key_id": "0a1b2c3d"}]
    write_manifest(lake.store, Manifest(**(manifest | {"rules": rules})))
    return lake


@pytest.fixture
def catalog(lake, run, tmp_path: Path) -> Path:
    file = tmp_path / "lake.duckdb"
    assert run("catalog", file, "--config", lake.config)[0] == 0
    return file


def missing_of(catalog: Path) -> list[tuple[str, date]]:
    with duckdb.connect(str(catalog), read_only=True) as connection:
        return connection.execute("FROM lake_catalog_missing()").fetchall()


def test_comments_of_columns(catalog: Path) -> None:
    with duckdb.connect(str(catalog), read_only=True) as connection:
        rows = connection.execute(
            "SELECT table_name, column_name, comment FROM duckdb_columns() "
            "WHERE NOT internal AND table_name NOT LIKE 'lake_catalog%'"
        ).fetchall()
    comments = {(table, column): comment for table, column, comment in rows}
    assert {column for table, column in comments if table == "events"} == {
        "day", "timestamp", "latency_ms", "user", "it's new",
    }  # fmt: skip
    assert comments["events", "day"] == "UTC day, the lake's partition"
    assert comments["events", "timestamp"] == "field of the document; UTC"
    assert comments["events", "latency_ms"] == (
        "field of the document; in milliseconds, by its name"
    )
    assert comments["events", "user"] == (
        "field of the document; rule of user: hash (key 0a1b2c3d); "
        "14 values are in _rest or _raw only"
    )
    assert comments["events", "it's new"] == "field of the document; on 1 of 2 days"
    assert comments["container_logs", "ts"] == "time of the line, microseconds; UTC"
    assert comments["container_logs", "ts_ns"] == (
        "time of the line, nanoseconds since 1970-01-01 UTC"
    )
    assert comments["container_logs", "app"] == "label of the stream, NULL where absent"
    assert comments["container_logs_with_level", "level"].startswith("level of the line")
    assert all(comments.values())


def test_comments_of_tables_and_macros(catalog: Path) -> None:
    with duckdb.connect(str(catalog), read_only=True) as connection:
        views = dict(
            connection.execute(
                "SELECT view_name, comment FROM duckdb_views() WHERE NOT internal"
            ).fetchall()
        )
        macros = dict(
            connection.execute(
                "SELECT function_name, comment FROM duckdb_functions() WHERE comment IS NOT NULL"
            ).fetchall()
        )
    about = "Exported from mongo: collection events, time_field timestamp"
    assert views["events"] == about
    assert views["container_logs_with_level"] == ('Exported from loki: selector {container=~".+"}')
    assert all(views.values())
    assert macros["events_between"] == f"{about}. The days in [from_day, to_day), UTC"
    assert macros["container_logs_local_between"].endswith("of the time zone in_zone")


def test_its_age_and_what_it_lacks(lake, catalog: Path, run) -> None:
    with duckdb.connect(str(catalog), read_only=True) as connection:
        connection.execute("SET TimeZone = 'UTC'")
        rows = connection.execute(
            "SELECT table_name, first_day, last_day, days, rows, written_at, age, root "
            "FROM lake_catalog WHERE table_name IN ('events', 'empty')"
        ).fetchall()
        by_table = {row[0]: row[1:] for row in rows}
        assert by_table["events"][:4] == (date(2026, 7, 1), date(2026, 7, 2), 2, 2)
        assert by_table["empty"][:4] == (None, None, 0, 0)
        written, age, root = by_table["events"][4:]
        assert timedelta() <= datetime.now(UTC) - written < timedelta(minutes=5)
        assert timedelta() <= age < timedelta(minutes=5)
        assert root == lake.settings.lake.root
        assert connection.execute("FROM lake_catalog_missing()").fetchall() == []
    for dataset, day in (("events", "2026-07-05"), ("empty", "2026-07-04")):
        lake.put(dataset, day, pa.table({"n": [1]}))
    assert missing_of(catalog) == [
        ("empty", date(2026, 7, 4)),
        ("events", date(2026, 7, 5)),
    ]
    assert run("catalog", catalog, "--config", lake.config)[0] == 0
    assert missing_of(catalog) == []


def test_days_that_were_written_or_removed_since(make_lake, run, tmp_path: Path) -> None:
    """A day of other types is cast to those of the file: the sum is another one."""
    lake = make_lake("events", "others")
    for dataset in ("events", "others"):
        for day in ("2026-07-01", "2026-07-02", "2026-07-03"):
            lake.put(dataset, day, pa.table({"n": [1, 2]}))
    catalog = tmp_path / "lake.duckdb"
    assert run("catalog", catalog, "--config", lake.config)[0] == 0
    lake.put("events", "2026-07-02", pa.table({"n": [1.5, 2.25]}))  # of the same size, maybe
    lake.store.delete("manifests/others/2026-07-03.json")
    lake.store.delete("tables/others/day=2026-07-03/data.parquet")
    assert missing_of(catalog) == [
        ("events", date(2026, 7, 2)),
        ("others", date(2026, 7, 3)),
    ]
    assert run("catalog", catalog, "--config", lake.config)[0] == 0
    assert missing_of(catalog) == []
    with duckdb.connect(str(catalog), read_only=True) as connection:
        assert connection.execute("SELECT sum(n) FROM events").fetchall() == [(9.75,)]


def test_rollups_that_were_made_since(tmp_path: Path, run) -> None:
    """One without its manifest, which the file leaves out, is none as long as it stays."""
    lake, scenario = renamed_history(tmp_path, days=3, datasets=["usage_analytics"])
    first, second = scenario.first, scenario.first.plus(1)
    config = ("--config", lake.config)
    assert run("rollup", *config)[0] == 0
    lake.store.delete(rollup_manifest_key("usage_analytics", first))
    lake.store.delete(rollup_key("usage_analytics", first))
    lake.store.delete(rollup_manifest_key("usage_analytics", second))
    catalog = tmp_path / "lake.duckdb"
    assert run("catalog", catalog, *config)[0] == 0
    assert missing_of(catalog) == []
    with duckdb.connect(str(catalog), read_only=True) as connection:
        days = connection.execute("SELECT DISTINCT day FROM usage_analytics_hourly").fetchall()
    assert days == [(second.plus(1).date,)]
    assert run("rollup", "usage_analytics", "--day", first, *config)[0] == 0
    assert missing_of(catalog) == [("usage_analytics_hourly", first.date)]
    assert run("rollup", *config)[0] == 0
    assert run("catalog", catalog, *config)[0] == 0
    assert missing_of(catalog) == []


def test_a_dataset_of_that_name_has_it(make_lake, run, tmp_path: Path) -> None:
    lake = make_lake("lake_catalog")
    lake.put("lake_catalog", "2026-07-01", pa.table({"n": [7]}))
    file = tmp_path / "lake.duckdb"
    assert run("catalog", file, "--config", lake.config)[0] == 0
    with duckdb.connect(str(file), read_only=True) as connection:
        assert connection.execute("SELECT n FROM lake_catalog").fetchall() == [(7,)]
