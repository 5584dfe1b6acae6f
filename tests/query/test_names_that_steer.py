"""Names and values of the lake with control characters: no message carries them to a terminal."""

from __future__ import annotations

import re
from datetime import UTC, datetime

import pyarrow as pa
import pytest

_NAME = "a\x1b]0;title\x07\nb"
_SHOWN = r"a\x1b]0;title\x07\nb"
_STEERING = re.compile(r"[\x00-\x09\x0b-\x1f\x7f-\x9f\u202e]")


@pytest.fixture
def lake(make_lake, table):
    """The column of that name has several types, and leaves values out."""
    lake = make_lake("events")
    for number, column in enumerate((["x"], [[1]]), 1):
        at = pa.array([datetime(2026, 7, number, tzinfo=UTC)], pa.timestamp("ms", "UTC"))
        text = {"timestamp": at, "v": ["\x1b[31m\u202ev"], "s": [{_NAME: "\x07"}]}
        columns = pa.table({_NAME: column, **text})
        lake.put("events", f"2026-07-0{number}", columns, left_out={_NAME: 3, f"s.{_NAME}": 1})
    return lake


@pytest.mark.parametrize(
    "arguments",
    [
        ["describe"],
        ["query", "FROM events ORDER BY ALL"],
        ["query", "FROM events", "--csv"],
        ["can", "FROM events ORDER BY ALL"],
        ["incident", "--at", "2026-07-01T00:00"],
        ["iceberg", "--sqlite", "lake.iceberg.db"],
    ],
)
def test_messages_have_escapes(lake, run, tmp_path, monkeypatch, arguments: list[str]) -> None:
    monkeypatch.chdir(tmp_path)
    _, out, err = run(*arguments, "--config", lake.config)
    messages = err if "--csv" in arguments else out + err
    assert _SHOWN in messages
    assert _STEERING.findall(messages) == []


def test_a_value_in_an_error(lake, run) -> None:
    _, _, err = run("query", "SELECT v::INT FROM events", "--config", lake.config)
    assert r"'\x1b[31m\u202ev'" in err
    assert _STEERING.findall(err) == []


def test_a_name_in_an_error_of_duckdb(lake, run) -> None:
    _, _, err = run("query", f'SELECT "{_NAME}x" FROM events', "--config", lake.config)
    assert r"a\x1b]0;title\x07" in err
    assert _STEERING.findall(err) == []


def test_a_plan_has_lines(lake, run) -> None:
    _, out, _ = run("query", "EXPLAIN SELECT 1 FROM events", "--config", lake.config)
    assert "READ_PARQUET" in out
    assert out.startswith("┌──")
    assert "\\n" not in out
