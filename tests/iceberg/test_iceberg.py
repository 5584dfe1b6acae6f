"""Iceberg tables over the lake's files: PyIceberg reads what DuckDB reads."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from itertools import pairwise
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest
from click.testing import CliRunner, Result
from pyiceberg.catalog import Catalog, load_catalog
from pyiceberg.expressions import EqualTo, GreaterThanOrEqual
from pyiceberg.types import DecimalType, DoubleType, LongType
from support.hand_made import HandMadeLake, hand_made_lake

from lake.base.clock import simulated
from lake.cli.main import root
from lake.iceberg.shape import ColumnShape

AT = datetime(2026, 7, 1, 2, 3, 4, 567000, tzinfo=UTC)
MILLIS = pa.timestamp("ms", "UTC")
PAIRS = pa.map_(pa.string(), pa.string())


def run(lake: HandMadeLake, *arguments: str) -> Result:
    file = lake.config.parent / "lake.iceberg.db"
    call = ["iceberg", *arguments, "--sqlite", str(file), "--config", str(lake.config)]
    return CliRunner().invoke(root, call, prog_name="lake")


def synced(lake: HandMadeLake, *arguments: str) -> dict[str, dict[str, Any]]:
    done = run(lake, "--json", *arguments)
    assert done.exit_code == 0, done.output
    return {table["table"]: table for table in json.loads(done.stdout)}


def catalog(lake: HandMadeLake) -> Catalog:
    """As another program opens it."""
    file = lake.config.parent / "lake.iceberg.db"
    return load_catalog("monitoring_lake", type="sql", uri=f"sqlite:///{file}", warehouse="unused")


def rows(lake: HandMadeLake, dataset: str, **scan: Any) -> list[dict[str, Any]]:
    table = catalog(lake).load_table(f"monitoring.{dataset}").scan(**scan).to_arrow()
    return sorted(table.to_pylist(), key=repr)


def in_duckdb(lake: HandMadeLake, sql: str) -> list[dict[str, Any]]:
    with lake.connect() as session:
        answer = session.ask_arrow(sql)
        table = pa.Table.from_batches(answer.batches, answer.schema)
    return sorted(table.to_pylist(), key=repr)


def drop(lake: HandMadeLake, day: str) -> None:
    call = ["drop", "events", "--day", day, "--yes", "--force", "--config", str(lake.config)]
    done = CliRunner().invoke(root, call, prog_name="lake")
    assert done.exit_code == 0, done.output


def files(lake: HandMadeLake) -> Mapping[Path, bytes]:
    folder = Path(lake.settings.lake.root) / "tables"
    return {path: path.read_bytes() for path in sorted(folder.rglob("*.parquet"))}


def day_of(number: int) -> dict[str, pa.Array]:
    times = pa.array([AT + timedelta(days=number), None], MILLIS)
    return {
        "at": times,
        "n": pa.array([number, None]),
        "s": pa.array([{"a": "x", "l": [number, None]}, None]),
        "m": pa.array([[("k", "v")], None], PAIRS),
        "d": pa.array([Decimal("1.25"), None], pa.decimal128(5 + number, 2)),
    }


def test_the_same_rows_as_in_duckdb_and_no_file_touched(tmp_path: Path) -> None:
    lake = hand_made_lake(tmp_path, "events", "empty", "nothing")
    for number in range(1, 4):
        columns = day_of(number)
        if number == 2:
            del columns["m"]
        if number == 3:
            columns["later"] = pa.array(["new", "new"])
        lake.put("events", f"2026-07-0{number}", pa.table(columns))
    lake.put("events", "2026-07-05", pa.table({"n": pa.array(["text"]).slice(0, 0)}))
    lake.put("empty", "2026-07-01", pa.table({"a": pa.array([1])}).slice(0, 0))
    before = files(lake)
    done = synced(lake)
    assert done["monitoring.events"] == {
        "table": "monitoring.events", "days": 3, "added": 3, "replaced": 0, "removed": 0,
        "left_out": {}, "milliseconds": ["at"],
    }  # fmt: skip
    assert done["monitoring.nothing"]["days"] == done["monitoring.empty"]["days"] == 0
    assert rows(lake, "events") == in_duckdb(lake, "FROM events")
    table = catalog(lake).load_table("monitoring.events")
    assert table.properties["gc.enabled"] == "false"
    assert table.schema().find_type("d") == DecimalType(8, 2)
    one_day = EqualTo("day", "2026-07-02")
    assert [len(rows(lake, "events", row_filter=one_day)), len(rows(lake, "empty"))] == [2, 0]
    (task,) = table.scan(row_filter=one_day).plan_files()
    assert task.file.file_path.endswith("tables/events/day=2026-07-02/data.parquet")
    assert rows(lake, "events", row_filter=GreaterThanOrEqual("n", 3))[0]["day"] == date(2026, 7, 3)
    later = "2026-07-03T00:00:00+00:00"
    answered = rows(lake, "events", row_filter=GreaterThanOrEqual("at", later))
    assert answered == in_duckdb(lake, f"FROM events WHERE \"at\" >= '{later}'")
    assert len(answered) == 2
    assert catalog(lake).load_table("monitoring.empty").schema().column_names == ["day", "a"]
    assert files(lake) == before


def test_times_in_milliseconds_are_reported(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    lake = hand_made_lake(tmp_path, "events")
    inside = pa.struct([("at", MILLIS), ("us", pa.timestamp("us", "UTC"))])
    columns = {"at": pa.array([AT], MILLIS), "us": pa.array([AT], pa.timestamp("us", "UTC")),
               "s": pa.array([{"at": AT, "us": AT}], inside),
               "l": pa.array([[AT]], pa.list_(MILLIS)),
               "value": pa.array([AT], MILLIS),  # as a MAP's part is called
               "o": pa.array([{"key": AT}], pa.struct([("key", MILLIS)]))}  # fmt: skip
    lake.put("events", "2026-07-01", pa.table(columns))
    with monkeypatch.context() as earlier:  # a table from before there were comments
        earlier.setattr(ColumnShape, "doc", lambda _: None)
        assert synced(lake)["monitoring.events"]["milliseconds"] == []
    assert "=, > or >=: monitoring.events (at, s.at, value, o.key); docs" in run(lake).stderr
    table = catalog(lake).load_table("monitoring.events")
    docs = [table.schema().find_field(name).doc for name in ("at", "us", "s.at", "s.us")]
    assert [bool(doc) for doc in docs] == [True, False, True, False]
    assert synced(lake)["monitoring.events"]["milliseconds"] == ["at", "s.at", "value", "o.key"]
    again = catalog(lake).load_table("monitoring.events")
    assert again.metadata_location == table.metadata_location


def test_names_that_iceberg_cannot_tell_apart(tmp_path: Path) -> None:
    lake = hand_made_lake(tmp_path, "events", "other")
    lake.put("events", "2026-07-01", pa.table({"a": [{"b": 1}], "Ü": [1], "ü": [2]}))
    lake.put("events", "2026-07-02", pa.table({"x.y": [1], "A.c": [2], "Ü": [3]}))
    lake.put("other", "2026-07-01", pa.table({"a.b": [1]}))
    assert synced(lake)["monitoring.events"]["left_out"] == {
        "ü": "indistinguishable from Ü in Iceberg or Spark"
    }
    lake.put("events", "2026-07-03", pa.table({"a": [{"c": 4}], "x": [{"y": 5}]}))
    lake.put("other", "2026-07-02", pa.table({"a.b": [1], "a": [{"b": 3}]}))
    done = synced(lake)
    assert done["monitoring.events"]["left_out"] == {
        "ü": "indistinguishable from Ü in Iceberg or Spark",
        "x.y": "indistinguishable from x > y in Iceberg or Spark",
        "A.c": "indistinguishable from a > c in Iceberg or Spark",
    }
    assert done["monitoring.other"]["left_out"].keys() == {"a.b"}
    third = EqualTo("day", "2026-07-03")
    assert rows(lake, "events", row_filter=third) == in_duckdb(
        lake, "SELECT day, a, \"Ü\", x FROM events WHERE day = '2026-07-03'"
    )


def test_nothing_is_committed_where_nothing_has_changed(tmp_path: Path) -> None:
    lake = hand_made_lake(tmp_path, "events")
    lake.put("events", "2026-07-01", pa.table(day_of(1)))
    synced(lake)
    first = catalog(lake).load_table("monitoring.events").metadata_location
    assert synced(lake)["monitoring.events"]["added"] == 0
    assert catalog(lake).load_table("monitoring.events").metadata_location == first


def test_days_that_are_replaced_and_dropped(tmp_path: Path) -> None:
    lake = hand_made_lake(tmp_path, "events")
    for number in range(1, 4):
        lake.put("events", f"2026-07-0{number}", pa.table(day_of(number)))
    synced(lake)
    lake.put("events", "2026-07-02", pa.table({"n": [70, 71, 72], "new": ["a", "b", "c"]}))
    drop(lake, "2026-07-03")
    lake.put("events", "2026-07-04", pa.table(day_of(4)))
    done = synced(lake)["monitoring.events"]
    assert [done[key] for key in ("days", "added", "replaced", "removed")] == [3, 1, 1, 1]
    assert rows(lake, "events") == in_duckdb(lake, "FROM events")
    assert {row["n"] for row in rows(lake, "events")} == {1, 4, 70, 71, 72, None}
    table = catalog(lake).load_table("monitoring.events")
    assert len(list(table.scan().plan_files())) == 3


def test_a_type_that_differs_between_days_is_left_out(tmp_path: Path) -> None:
    lake = hand_made_lake(tmp_path, "events")
    lake.put("events", "2026-07-01", pa.table({"n": [1], "s": [{"a": 1, "b": 1}], "w": [1]}))
    lake.put("events", "2026-07-02", pa.table({"n": [1.5], "s": [{"a": "x", "b": 2}], "w": [2]}))
    lake.put("events", "2026-07-03", pa.table({"n": [[1]], "W": pa.array([3], pa.int32())}))
    done = run(lake)
    assert "leaves out n: int64 (2026-07-01)" in done.stderr.replace("long", "int64")
    left_out = synced(lake)["monitoring.events"]["left_out"]
    assert left_out.keys() == {"n", "s.a"}
    assert rows(lake, "events") == in_duckdb(
        lake, 'SELECT day, CASE WHEN s IS NOT NULL THEN {b: s.b} END AS s, "W" FROM events'
    )


def test_a_type_that_changes_later(tmp_path: Path) -> None:
    lake = hand_made_lake(tmp_path, "events")
    small = {"i": pa.array([1], pa.int32()), "f": pa.array([0.5], pa.float32()), "x": pa.array([1])}
    lake.put("events", "2026-07-01", pa.table(small))
    synced(lake)
    large = {"i": pa.array([2**40]), "f": pa.array([0.1]), "x": pa.array(["text"])}
    lake.put("events", "2026-07-02", pa.table(large))
    assert synced(lake)["monitoring.events"]["left_out"].keys() == {"x"}
    schema = catalog(lake).load_table("monitoring.events").schema()
    assert [schema.find_type(name) for name in ("i", "f")] == [LongType(), DoubleType()]
    assert rows(lake, "events") == in_duckdb(lake, "SELECT day, i, f FROM events")
    drop(lake, "2026-07-01")
    assert synced(lake)["monitoring.events"]["left_out"] == {}
    assert rows(lake, "events") == in_duckdb(lake, "FROM events")


def test_a_table_that_somebody_changed_is_mended(tmp_path: Path) -> None:
    lake = hand_made_lake(tmp_path, "events")
    for number in range(1, 3):
        lake.put("events", f"2026-07-0{number}", pa.table(day_of(number)))
    synced(lake)
    catalog(lake).load_table("monitoring.events").delete(EqualTo("day", "2026-07-01"))
    assert len(rows(lake, "events")) == 2
    before = files(lake)
    synced(lake)
    assert rows(lake, "events") == in_duckdb(lake, "FROM events")
    assert files(lake) == before


def test_a_table_of_another_is_refused(tmp_path: Path) -> None:
    lake = hand_made_lake(tmp_path, "events", "other")
    lake.put("events", "2026-07-01", pa.table(day_of(1)))
    synced(lake, "events")
    catalog(lake).rename_table("monitoring.events", "monitoring.other")
    done = run(lake, "other")
    assert done.exit_code != 0
    assert "is not the dataset's" in str(done.exception)


def test_the_example_of_the_docs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    lake = hand_made_lake(tmp_path, "usage_analytics")
    lake.put("usage_analytics", "2026-06-30", pa.table({"n": [1]}))
    lake.put("usage_analytics", "2026-07-01", pa.table({"n": [2]}))
    synced(lake)
    monkeypatch.chdir(tmp_path)
    text = (Path(__file__).parents[2] / "docs/engines.md").read_text("utf-8")
    (code,) = [
        c for c in re.findall(r"```python\n(.*?)```", text, re.DOTALL) if "load_catalog" in c
    ]
    *before, last = code.strip().splitlines()
    names: dict[str, Any] = {}
    exec("\n".join([*before, f"answer = {last}"]), names)
    assert names["answer"].to_pylist() == [{"day": date(2026, 7, 1), "n": 2}]


@pytest.mark.parametrize("options", [[], ["--sqlite", "a.db", "--catalog", "b"]])
def test_a_catalog_is_named(tmp_path: Path, options: list[str]) -> None:
    lake = hand_made_lake(tmp_path, "events")
    call = ["iceberg", *options, "--config", str(lake.config)]
    assert "name a catalog" in str(CliRunner().invoke(root, call, prog_name="lake").exception)


def test_a_file_that_is_no_catalog(tmp_path: Path) -> None:
    lake = hand_made_lake(tmp_path, "events")
    (tmp_path / "lake.iceberg.db").write_text("notes\n" * 100)
    done = run(lake)
    error = str(done.exception)
    assert "file is not a database\n  remedy: name another file" in error
    assert "SELECT" not in error


def test_a_clock_that_was_set_back(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Engines open no table whose commits go back in time: none is made until then."""
    lake, at = hand_made_lake(tmp_path, "events"), datetime.now(UTC)
    monkeypatch.setattr("time.time", lambda: clock().timestamp())  # PyIceberg's

    def clock() -> datetime:
        return at

    with simulated(clock):
        lake.put("events", "2026-07-01", pa.table({"n": [1]}))
        synced(lake)
        at -= timedelta(hours=1)
        synced(lake)  # nothing to commit
        lake.put("events", "2026-07-02", pa.table({"n": [2]}))
        done = run(lake)
        assert done.exit_code == 1
        assert "later than this machine's time" in str(done.exception)
        assert [row["n"] for row in rows(lake, "events")] == [1]
        at += timedelta(minutes=61)
        synced(lake)
        lake.put("events", "2026-07-02", pa.table({"n": [3]}))
        at -= timedelta(seconds=20)  # as two machines' clocks differ
        synced(lake)
    assert [row["n"] for row in rows(lake, "events")] == [1, 3]
    metadata = catalog(lake).load_table("monitoring.events").metadata
    for log in (metadata.snapshot_log, metadata.metadata_log):
        times = [entry.timestamp_ms for entry in log]
        assert all(later - earlier >= -60_000 for earlier, later in pairwise(times))
