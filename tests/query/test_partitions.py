"""The macro `lake_partitions()` against the manifests, read as JSON."""

from __future__ import annotations

import json
from datetime import datetime
from pathlib import Path

from support.hand_made import HandMadeLake
from support.renamed_lake import renamed_history

_NAMES = {"usage_analytics": "calls"}


def _manifests(lake: HandMadeLake, below: str) -> list[dict]:
    keys = [stat.key for stat in lake.store.list(below) if stat.key.endswith(".json")]
    return [json.loads(lake.store.read(key)) for key in keys]


def test_a_row_for_each_day_of_tables_and_rollups(run, tmp_path: Path) -> None:
    lake, _ = renamed_history(tmp_path, _NAMES, first="2026-07-01", days=2)
    assert run("rollup", "--config", lake.config)[0] == 0
    names = [dataset.name for dataset in lake.settings.dataset]
    assert "calls" in names
    tables = [m for name in names for m in _manifests(lake, f"manifests/{name}/")]
    rollups = _manifests(lake, "manifests/rollups/")
    assert (len(tables), len(rollups)) == (2 * len(names), 2 * len(names))
    expected = {
        (kind, m["dataset"], m["day"]): (m["rows"], m["bytes"], m["sha256"], m.get("source_count"))
        for kind, manifests in (("table", tables), ("rollup", rollups))
        for m in manifests
    }
    with lake.connect() as session:
        rows = session.rows("FROM lake_partitions()")
    assert {
        (row["kind"], row["dataset"], str(row["day"])): tuple(
            row[name] for name in ("rows", "bytes", "sha256", "source_count")
        )
        for row in rows
    } == expected
    for row in rows:
        folder = "tables" if row["kind"] == "table" else "rollups"
        assert row["url"].endswith(f"/{folder}/{row['dataset']}/day={row['day']}/data.parquet")
        assert Path(row["url"]).stat().st_size == row["bytes"]


def test_what_a_manifest_replaced(lake: HandMadeLake) -> None:
    key = "manifests/events/2026-07-02.json"
    manifest = json.loads(lake.store.read(key))
    claim = {
        "created_at": "2026-07-03T00:30:00.250+00:00",
        "rows": 7,
        "source_count": 7,
        "sha256": "ab",
        "fingerprint": "",
        "version": "0",
    }
    lake.store.write(key, json.dumps(manifest | {"history": [claim]}).encode())
    statement = (
        "SELECT day, e.rows, e.created_at, e.sha256 FROM lake_partitions(), unnest(earlier) AS t(e)"
    )
    with lake.connect() as session:
        (row,) = session.rows(statement)
    assert (str(row["day"]), row["rows"], row["sha256"]) == ("2026-07-02", 7, "ab")
    assert row["created_at"] == datetime.fromisoformat(claim["created_at"])


def test_an_open_session_sees_days_that_come_and_go(lake: HandMadeLake, table) -> None:
    statement = (
        "SELECT list(day::VARCHAR ORDER BY day) AS days FROM LAKE_PARTITIONS() AS p(d, k, day)"
    )
    with lake.connect() as session:
        assert session.rows(statement)[0]["days"] == ["2026-07-01", "2026-07-02", "2026-07-03"]
        lake.put("events", "2026-07-04", table(n=[1]))
        lake.store.delete("manifests/events/2026-07-01.json")
        assert session.rows(statement)[0]["days"] == ["2026-07-02", "2026-07-03", "2026-07-04"]
        days = session.sql("SELECT count(*) FROM lake_partitions()").fetchall()
        assert days == [(3,)]


def test_beside_tables_in_one_statement(lake: HandMadeLake) -> None:
    """Each day's rows as the manifest says and as they are counted; days are still left out."""
    statement = """
    SELECT p.day, p.rows, count(*) AS counted FROM events AS e
    JOIN lake_partitions() AS p ON p.dataset = 'events' AND p.kind = 'table' AND p.day = e.day
    WHERE e.day >= '2026-07-02' GROUP BY ALL ORDER BY ALL
    """
    with lake.connect() as session:
        assert session.understood(statement).understood
        rows = session.rows(statement)
    assert [(str(r["day"]), r["rows"], r["counted"]) for r in rows] == [
        ("2026-07-02", 1, 1),
        ("2026-07-03", 1, 1),
    ]


def test_an_empty_lake(make_lake) -> None:
    with make_lake("events").connect() as session:
        assert session.rows("SELECT count(*) AS n, sum(bytes) AS b FROM lake_partitions()") == [
            {"n": 0, "b": None}
        ]
