"""Spark's answers against DuckDB's, and both against plain Python, on a cluster of processes."""

from __future__ import annotations

import math
import random
import re
import struct
import sys
from collections.abc import Callable
from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest
from click.testing import CliRunner
from support.demo_history import History
from support.hand_made import HandMadeLake, hand_made_lake
from support.level_lines import DETECTED
from support.spark_rows import in_duckdb, in_spark, same_rows

from lake.cli.main import root
from lake.trends import Choices, all_trends, ask, fit

pytestmark = pytest.mark.slow
MILLIS = pa.timestamp("ms", "UTC")
AT = datetime(2026, 7, 3, 4, 5, 6, 789000, tzinfo=UTC)
Opened = Callable[[HandMadeLake], list[str]]


@pytest.fixture
def opened(spark: Any, lake_tables: Any, tmp_path: Path) -> Opened:
    """Makes a lake's views in the session; their names."""

    def open_(lake: HandMadeLake) -> list[str]:
        file = tmp_path / "lake.spark.json"
        call = ["catalog", str(file), "--spark", "--config", str(lake.config)]
        done = CliRunner().invoke(root, call, prog_name="lake", catch_exceptions=False)
        assert done.exit_code == 0, done.output
        return list(lake_tables.open_lake(spark, str(file)))

    return open_


def test_the_cluster_is_several_processes(spark: Any) -> None:
    ids = spark.sparkContext.parallelize(range(8), 8).map(lambda _: __import__("os").getppid())
    assert len(set(ids.collect())) == 2


def test_days_of_other_types_and_missing_days(tmp_path: Path, spark: Any, opened: Opened) -> None:
    lake = hand_made_lake(tmp_path / "lake", "events", "nothing", "empty")
    numbers = [5.0, 0.1, 1e-5, 1.5e20, 123456789.25, -0.0, math.nan, math.inf, None]
    days: dict[str, dict[str, pa.Array]] = {
        "2026-07-01": {
            "status": pa.array(["error", "500", None]),
            "n": pa.array([1, 2, None]),
            "s": pa.array([{"x": 1, "y": "a"}, None, {"x": None, "y": None}]),
            "l": pa.array([[1, 2], [], None]),
            "odd name.`x`": pa.array([1, 2, 3]),
        },
        "2026-07-02": {
            "status": pa.array([500, 7, None]),
            "n": pa.array([1.5, 2.5, None]),
            "s": pa.array([{"x": 1.5, "z": [1, None]}, None, None]),
            "l": pa.array([[1.5, None], [], None]),
        },
        "2026-07-03": {
            "status": pa.array([Decimal("5.00"), Decimal("0.25"), None], pa.decimal128(9, 2)),
            "n": pa.array([Decimal("1.25"), None, None], pa.decimal128(5, 2)),
            "l": pa.array([[], [], None], pa.list_(pa.null())),
        },
        # 2026-07-04 is missing; the 5th has no rows, and types that change nothing.
        "2026-07-05": {"status": pa.array([{"a": 1}]).slice(0, 0), "n": pa.array(["t"])[:0]},
        "2026-07-06": {"status": pa.array([True, False, None]), "v0": pa.array([1, 2, 3])},
        "2026-07-07": {"status": pa.array([AT, None], MILLIS), "later": pa.array([AT, AT], MILLIS)},
        "2026-07-08": {"status": pa.array([b"\x00\xff", b"", None])},
        "2026-07-09": {"status": pa.array(numbers, pa.float64())},
        "2026-07-10": {"status": pa.array([{"code": 5, "at": None, "d": AT}, None])},
        "2026-07-11": {"status": pa.array([[1, None], []])},
        "2026-07-12": {"nil": pa.nulls(2), "status": pa.array(["a", "b"])},
    }
    for day, columns in days.items():
        rows = len(next(iter(columns.values())))
        columns["_rest"] = pa.nulls(rows, pa.string())
        lake.put("events", day, pa.table(columns))
    lake.put("empty", "2026-07-01", pa.table({"a": pa.array([1])}).slice(0, 0))
    assert opened(lake) == ["events", "nothing", "empty"]
    same_rows(in_spark(spark, "SELECT * FROM events"), in_duckdb(lake, "FROM events"))
    texts = [row["status"] for row in in_spark(spark, "SELECT status FROM events")]
    assert texts.count("500") == 2
    assert {"error", "5", "0.25", "true", "2026-07-03T04:05:06.789Z", "AP8=", "1e-05", "0.1",
            "150000000000000000000", "123456789.25", "0", "NaN", "Infinity", "[1,null]",
            '{"code":5,"d":"2026-07-03T04:05:06.789Z"}'} <= set(texts)  # fmt: skip
    for sql in (
        "SELECT day, count(*) AS n FROM events GROUP BY day",
        "SELECT sum(n) AS n, max(s.x) AS x FROM events WHERE day < '2026-07-04'",
        "SELECT count(*) AS n FROM events WHERE day = '2026-07-04'",
        "SELECT count(*) AS n FROM events WHERE day = '2026-07-05'",
        "SELECT * FROM nothing",
        "SELECT * FROM empty",
    ):
        same_rows(in_spark(spark, sql), in_duckdb(lake, sql))
    assert spark.table("empty").schema.simpleString() == "struct<day:date,a:bigint>"


def test_only_the_days_asked_for_are_read(tmp_path: Path, spark: Any, opened: Opened) -> None:
    lake = hand_made_lake(tmp_path / "lake", "events")
    for number in range(1, 4):
        key = lake.put("events", f"2026-07-0{number}", pa.table({"n": [number]}))
    opened(lake)
    lake.store.delete(key)
    assert in_spark(spark, "SELECT sum(n) AS n FROM events WHERE day < '2026-07-03'") == [{"n": 3}]


def test_numbers_beside_text(tmp_path: Path, spark: Any, opened: Opened) -> None:
    """Any double has DuckDB's text; Java before 19 may write a digit more than needed."""
    chance = random.Random(7)
    doubles = [struct.unpack("<d", chance.randbytes(8))[0] for _ in range(500)]
    doubles += [chance.uniform(-1, 1) * 10 ** chance.randint(-6, 39) for _ in range(1000)]
    doubles += [sign * 2.0**power for power in range(50, 130) for sign in (1, -1)]
    doubles += [
        math.nextafter(2.0**power, math.inf * way) for power in range(60, 130) for way in (1, -1)
    ]
    lake = hand_made_lake(tmp_path / "lake", "events")
    lake.put("events", "2026-07-01", pa.table({"x": ["text"]}))
    lake.put("events", "2026-07-02", pa.table({"x": doubles}))
    opened(lake)
    (ours, theirs) = (
        {repr(float(row["x"])): row["x"] for row in rows if row["x"] != "text"}
        for rows in (
            in_spark(spark, "SELECT x FROM events"),
            in_duckdb(lake, "SELECT x FROM events"),
        )
    )
    assert ours.keys() == theirs.keys() == {repr(number + 0.0) for number in doubles}
    longer = [number for number, text in ours.items() if text != theirs[number]]
    assert len(longer) <= 10
    assert not [number for number in longer if 1e16 <= abs(float(number)) < 1e38]


def test_levels_of_lines(tmp_path: Path, spark: Any, opened: Opened) -> None:
    lake = hand_made_lake(tmp_path / "lake", "container_logs")
    lines = [line for line, _ in DETECTED]
    pairs = pa.map_(pa.string(), pa.string())
    metadata = pa.array(
        [[("detected_level", "WARN")]] + [[("trace", "1")]] * (len(lines) - 1), pairs
    )
    table = pa.table({"stream_id": [1] * len(lines), "line": lines, "metadata": metadata,
                      "labels": pa.array([[]] * len(lines), pairs)})  # fmt: skip
    lake.put("container_logs", "2026-07-01", table)
    assert "container_logs_with_level" in opened(lake)
    sql = "SELECT line, level FROM container_logs_with_level"
    same_rows(in_spark(spark, sql), in_duckdb(lake, sql))
    levels = {row["line"]: row["level"] for row in in_spark(spark, sql)}
    assert [levels[line] for line, _ in DETECTED] == ["warn", *(level for _, level in DETECTED[1:])]


def test_the_example_of_the_docs(
    history: History, spark: Any, opened: Opened, tmp_path: Path, monkeypatch: pytest.MonkeyPatch,
    lake_tables: Any, capsys: pytest.CaptureFixture[str],
) -> None:  # fmt: skip
    opened(history.lake)
    monkeypatch.setitem(sys.modules, "lake_tables", lake_tables)
    text = (Path(__file__).parents[2] / "docs/engines.md").read_text("utf-8")
    (code,) = [c for c in re.findall(r"```python\n(.*?)```", text, re.DOTALL) if "open_lake" in c]
    file = tmp_path / "lake.spark.json"  # the cluster's directory is where it was started
    exec(code.replace(file.name, str(file)), {"spark": spark})
    assert str(history.range[0]) in capsys.readouterr().out


OPTIONS = {
    "counter": {"metric": "llm_tokens_total", "by": "model"},
    "log_lines": {"by": "container"},
}


def test_every_trend(history: History, spark: Any, opened: Opened) -> None:
    opened(history.lake)
    first, end = history.range
    start = first.plus(1)
    compared = 0
    with history.lake.connect() as session:
        for trend in all_trends():
            choices = Choices(OPTIONS.get(trend.name, {}))
            if fit(session, trend, choices, (start, end)).lacks:
                continue
            answer = ask(session, trend, start, end, choices)
            theirs = [dict(zip(answer.columns, row, strict=True)) for row in answer.rows]
            options = [
                text for name, value in choices.options.items() for text in (f"--{name}", value)
            ]
            call = [
                "trend",
                trend.name,
                "--from",
                str(start),
                "--to",
                str(end),
                "--spark",
                *options,
            ]
            done = CliRunner().invoke(
                root, [*call, "--config", str(history.lake.config)], prog_name="lake"
            )
            assert done.exit_code == 0, done.output
            _same_answer(in_spark(spark, done.output), theirs)
            compared += 1
    assert compared >= 10


def _same_answer(ours: list[dict[str, Any]], theirs: list[dict[str, Any]]) -> None:
    """Sums of doubles in another order differ in their last bits, rounded ones in a last digit."""
    assert len(ours) == len(theirs) > 0
    for mine, other in zip(ours, theirs, strict=True):
        assert mine.keys() == other.keys()
        for name, value in other.items():
            if isinstance(value, float):
                assert mine[name] == pytest.approx(value, rel=1e-6, abs=1e-3), name
            else:
                assert mine[name] == value, name
