"""`lake describe` as one types it."""

from __future__ import annotations

import json
from pathlib import Path

import pyarrow as pa
import pytest
from support.command_line import runner
from support.hand_made import HandMadeLake, hand_made_lake


@pytest.fixture
def lake(tmp_path: Path) -> HandMadeLake:
    """3 days of events, one of them without rows; no day of others."""
    made = hand_made_lake(tmp_path, "events", "others")
    first = pa.table({"status": ["new", None, "paid"], "s": [{"x": 1}, {"x": None}, {"x": 3}]})
    second = pa.table({"status": ["x" * 200], "late": [1.5], "tags": [["a", "b"]]})
    made.put("events", "2026-07-01", first, left_out={"status": 1, "gone.*": 4})
    made.put(
        "events",
        "2026-07-02",
        second,
        left_out={"status": 1_000},
        details={"left_out_others": {"paths": 3, "values": 1_200}},
    )
    made.put("events", "2026-07-04", first.slice(0, 0))
    return made


@pytest.fixture
def run(monkeypatch, capsys):
    with runner(monkeypatch, capsys) as call:
        yield call


def test_json(lake: HandMadeLake, run) -> None:
    status, out, err = run("describe", "events", "--json", "--config", str(lake.config))
    assert (status, err) == (0, "")
    (described,) = json.loads(out)
    assert {k: v for k, v in described.items() if k != "columns"} == {
        "dataset": "events",
        "from": "2026-07-01",
        "to": "2026-07-05",
        "days": 3,
        "rows": 4,
        "without_column": {"gone.*": 4},
        "others": {"paths": 3, "values": 1_200},
        "rules": [],
        "other_rules": [],
    }
    assert {column.pop("column"): column for column in described["columns"]} == {
        "status": {
            "type": "VARCHAR", "days": 2, "first_day": "2026-07-01", "last_day": "2026-07-02",
            "rows": 3, "left_out": 1_001, "example": "x" * 80,
        },
        "s.x": {"type": "BIGINT", "days": 1,
            "first_day": "2026-07-01", "last_day": "2026-07-01",
            "rows": 2, "left_out": 0, "example": None,
        },
        "late": {"type": "DOUBLE", "days": 1,
            "first_day": "2026-07-02", "last_day": "2026-07-02",
            "rows": 1, "left_out": 0, "example": "1.5",
        },
        "tags": {"type": "VARCHAR[]", "days": 1,
            "first_day": "2026-07-02", "last_day": "2026-07-02",
            "rows": 1, "left_out": 0, "example": "[a, b]",
        },
    }  # fmt: skip


def test_for_people(lake: HandMadeLake, run) -> None:
    status, out, err = run("describe", "--config", str(lake.config))
    assert (status, err) == (0, "")
    lines = out.splitlines()
    assert lines[0] == "events: 4 rows on 3 days, 2026-07-01 to 2026-07-04"
    assert lines[1].split() == ["column", "type", "days", "rows", "left", "out", "example"]
    (row,) = [line.split() for line in lines if line.split()[0] == "status"]
    assert row == [
        "status",
        "VARCHAR",
        "66.67",
        "%,",
        "2026-07-01",
        "…",
        "2026-07-02",
        "75",
        "%",
        "1,001",
        "x" * 80,
    ]
    assert "  4 values without a column: gone.*" in lines
    assert "  3 more paths leave out 1,200 values" in lines
    assert lines[-1] == "others: no day is in the lake yet"


def test_a_range(lake: HandMadeLake, run) -> None:
    arguments = ("events", "--json", "--config", str(lake.config))
    (described,) = json.loads(run("describe", "--to", "2026-07-02", *arguments)[1])
    assert (described["days"], described["rows"], described["to"]) == (1, 3, "2026-07-02")
    assert {column["column"] for column in described["columns"]} == {"status", "s.x"}
    assert described["columns"][0]["left_out"] == 1


def test_a_range_without_a_day(lake: HandMadeLake, run) -> None:
    """The lake has days of the dataset, but none there."""
    arguments = ("events", "--from", "2026-07-05", "--config", str(lake.config))
    assert run("describe", *arguments) == (
        0, "events: no day from 2026-07-05 on is in the lake (it has 2026-07-01 … 2026-07-04)\n", ""
    )  # fmt: skip
    status, out, err = run("describe", "--to", "2026-07-05", *arguments)
    assert (status, out) == (2, "")
    assert "an empty range of days" in err


def test_an_empty_lake(tmp_path: Path, run) -> None:
    lake = hand_made_lake(tmp_path, "events")
    out = "events: no day is in the lake yet\n"
    assert run("describe", "--config", str(lake.config)) == (0, out, "")
    (described,) = json.loads(run("describe", "--json", "--config", str(lake.config))[1])
    assert described == {
        "dataset": "events", "from": None, "to": None, "days": 0, "rows": 0, "columns": [],
        "without_column": {}, "others": {}, "rules": [], "other_rules": [],
    }  # fmt: skip


def test_an_unknown_dataset(lake: HandMadeLake, run) -> None:
    status, out, err = run("describe", "event", "--config", str(lake.config))
    assert (status, out) == (2, "")
    assert "no dataset 'event'" in err
    assert "events, others" in err


def test_rows_of_a_column_that_is_a_struct_or_a_list_on_some_days(tmp_path: Path, run) -> None:
    lake = hand_made_lake(tmp_path, "events")
    values = ([1, None], [{"a": 1}, {"a": None}], [[1], []], ["x", "y"], [[[1]], None])

    for number, of_day in enumerate(values, 1):
        lake.put("events", f"2026-07-0{number}", pa.table({"v": pa.array(of_day)}))
    _, out, _ = run("describe", "events", "--json", "--config", str(lake.config))
    ((column,),) = (described["columns"] for described in json.loads(out))
    with lake.connect() as session:
        ((counted,),) = session.ask("SELECT count(v) FROM events").rows
    assert (column["days"], column["rows"]) == (5, counted)
    assert counted >= 7


def test_one_row_on_one_day(tmp_path: Path, run) -> None:
    made = hand_made_lake(tmp_path, "events")
    made.put("events", "2026-07-01", pa.table({"v": [1]}))
    _, out, _ = run("describe", "events", "--config", str(made.config))
    assert out.splitlines()[0] == "events: 1 row on 1 day, 2026-07-01 to 2026-07-01"
