"""Rollups by a SQL file: what they hold, days of other schemas, wrong files."""

from __future__ import annotations

import pyarrow as pa
import pytest
from support.made_partitions import put
from support.rolled_lake import COLLECTION, Place

from lake.base.day import Day
from lake.base.errors import BadData, ConfigError
from lake.query import connect
from lake.rollup.many import roll_up, with_rollups
from lake.rollup.sql import read_rollup_file

DAY = Day.parse("2026-07-01")
FILE = """-- Calls an hour by model
--
-- grain:    one row an hour and model
-- keys:     hour, model
-- measures: calls, failed, tokens, slowest
-- column:   ts TIMESTAMPTZ = timestamp
-- column:   model VARCHAR = modelName
-- column:   failed BOOLEAN = error
-- column:   tokens BIGINT = llm.totalTokens
-- column:   ms DOUBLE = "odd.name"
-- sums:     calls, tokens
-- rows:     calls
--
-- Note: a colon in prose is no key.
SELECT
    date_trunc('hour', ts) AS hour,
    model,
    count(*) AS calls,
    count(failed) AS failed,
    CAST(coalesce(sum(tokens), 0) AS BIGINT) AS tokens,
    max(ms) AS slowest
FROM day_rows
GROUP BY ALL;
"""


def calls(day: Day, models: list[str], tokens: list[int] | None) -> pa.Table:
    at = pa.array([day.start_ms + n * 1_000_000 for n in range(len(models))], pa.int64())
    columns = {"timestamp": at.view(pa.timestamp("ms", tz="UTC")), "modelName": models}
    if tokens is not None:
        columns["llm"] = [{"totalTokens": count} for count in tokens]
        columns["odd.name"] = [float(count) for count in tokens]
    return pa.table(columns)


@pytest.fixture
def place(tmp_path) -> Place:
    (tmp_path / "rollups").mkdir()
    (tmp_path / "rollups/calls.sql").write_text(FILE)
    return Place(tmp_path, COLLECTION)


def rolled_up(place: Place, days: list[Day] | None = None) -> dict[Day, object]:
    datasets = with_rollups(place.settings, ())
    return {
        rolled_day.day: rolled_day.rolled
        for rolled_day in roll_up(place.settings, place.store, datasets, days, jobs=1)
    }


def test_days_of_different_columns_have_the_same_measures(place):
    calls_ = place.settings.dataset_named("calls")
    put(place.store, calls_, DAY, calls(DAY, ["a", "b", "a", "a", "a"], [1, 2, 3, 4, 5]))
    put(place.store, calls_, DAY.plus(1), calls(DAY.plus(1), ["b"], None))
    put(place.store, calls_, DAY.plus(2), calls(DAY.plus(2), [], None))

    states = rolled_up(place)

    assert [rolled.state for rolled in states.values()] == ["made"] * 3, states
    assert states[DAY].manifest.sums == {"calls": 5, "tokens": 15}
    with connect(place.settings) as lake:
        rows = lake.rows(
            "SELECT day, hour(hour) AS h, model, calls, tokens, slowest "
            "FROM calls_hourly ORDER BY day, h, model"
        )
    assert [tuple(row.values()) for row in rows] == [
        (DAY.date, 0, "a", 3, 8, 4.0),
        (DAY.date, 0, "b", 1, 2, 2.0),
        (DAY.date, 1, "a", 1, 5, 5.0),
        (DAY.plus(1).date, 0, "b", 1, 0, None),
    ]


def test_a_member_whose_name_is_number(place):
    statement = """-- Tickets
-- grain:    one row a ticket
-- keys:     ticket
-- measures: weight
-- column:   tickets STRUCT(number VARCHAR, weight NUMBER)[] = tickets
SELECT t.number AS ticket, sum(t.weight) AS weight
FROM (SELECT unnest(tickets) AS t FROM day_rows) GROUP BY ALL;
"""
    (place.folder / "rollups/calls.sql").write_text(statement)
    tickets = pa.array([[{"number": "A7", "weight": 1.5}, {"number": "B8", "weight": 2.0}]])
    rows = calls(DAY, ["a"], None).append_column("tickets", tickets)
    put(place.store, place.settings.dataset_named("calls"), DAY, rows)

    states = rolled_up(place)

    assert states[DAY].state == "made", states
    with connect(place.settings) as lake:
        answer = lake.rows("SELECT ticket, weight FROM calls_hourly ORDER BY ticket")
    assert answer == [{"ticket": "A7", "weight": 1.5}, {"ticket": "B8", "weight": 2.0}]


def test_another_statement_makes_the_days_stale(place):
    put(place.store, place.settings.dataset_named("calls"), DAY, calls(DAY, ["a"], [7]))
    rolled_up(place)
    assert rolled_up(place)[DAY].state == "current"

    path = place.folder / "rollups/calls.sql"
    path.write_text(FILE.replace("sum(tokens)", "2 * sum(tokens)"))

    assert rolled_up(place)[DAY].manifest.sums == {"calls": 1, "tokens": 14}


def test_rollups_by_an_earlier_statement_are_in_no_answer(place):
    put(place.store, place.settings.dataset_named("calls"), DAY, calls(DAY, ["a"], [7]))
    rolled_up(place)
    path = place.folder / "rollups/calls.sql"
    path.write_text(FILE.replace("sum(tokens)", "2 * sum(tokens)"))
    put(place.store, place.settings.dataset_named("calls"), DAY.plus(1), calls(DAY, ["a"], [7]))
    rolled_up(place, days=[DAY.plus(1)])
    tokens = "SELECT CAST(sum(tokens) AS BIGINT) AS tokens FROM calls_hourly"

    with connect(place.settings) as lake:
        answer = lake.ask(tokens)
        assert list(answer.rows) == [(14,)]
        assert "2026-07-01" in " ".join(answer.notes)

    rolled_up(place)
    with connect(place.settings) as lake:
        assert lake.rows(tokens) == [{"tokens": 28}]


def test_a_file_that_cannot_be_read_is_that_of_no_rollup(place):
    put(place.store, place.settings.dataset_named("calls"), DAY, calls(DAY, ["a"], [7]))
    rolled_up(place)
    (place.folder / "rollups/calls.sql").write_bytes(b"-- \xff")

    with connect(place.settings) as lake:
        answer = lake.ask("SELECT * FROM calls")
        assert len(list(answer.rows)) == 1
        answer = lake.ask("SELECT * FROM calls_hourly")
        assert list(answer.rows) == []
        assert "lake rollup calls" in " ".join(answer.notes)


def test_a_rollup_whose_object_is_gone_is_made_again(place):
    """Its manifest is still there."""
    put(place.store, place.settings.dataset_named("calls"), DAY, calls(DAY, ["a"], [7]))
    made = rolled_up(place)[DAY].manifest
    place.store.delete(made.key)

    tuple(
        roll_up(place.settings, place.store, [place.settings.dataset[0]], [DAY], jobs=1, force=True)
    )

    assert place.store.stat(made.key).bytes == made.bytes
    with connect(place.settings) as lake:
        assert lake.rows("SELECT calls FROM calls_hourly") == [{"calls": 1}]


@pytest.mark.parametrize(
    ("old", "new", "line", "text"),
    [
        ("-- Calls an hour by model", "SELECT 1", 1, "SELECT 1"),
        ("-- keys:     hour, model\n", "", 1, "no keys"),
        ("-- sums:     calls, tokens", "-- sums: calls, token", 11, "found: token"),
        ("-- keys:     hour, model", "-- keys: hour, hour", 4, "hour, hour"),
        ("-- keys:     hour, model", "-- keys: Day, model", 4, "Day, model"),
        ("ts TIMESTAMPTZ = timestamp", "ts TIMESTAMPTZ", 6, "ts TIMESTAMPTZ"),
        ("llm.totalTokens", "llm..totalTokens", 9, "llm..totalTokens"),
        ("-- grain:    one row an hour and model", "-- grain:", 3, "none"),
        ("-- sums:     calls, tokens", "-- sum:      calls, tokens", 11, "found: sum"),
    ],
)
def test_a_wrong_header_names_its_line(place, old, new, line, text):
    path = place.folder / "rollups/calls.sql"
    assert old in FILE
    path.write_text(FILE.replace(old, new))

    with pytest.raises(BadData) as error:
        read_rollup_file(path)

    assert f"{path}, line {line}" in str(error.value)
    assert text in str(error.value)


@pytest.mark.parametrize(
    ("old", "new", "where", "said"),
    [
        ("max(ms)", "max(msec)", ", line 21", "msec"),
        ("AS slowest", "AS slow", "", "slow"),
        ("GROUP BY ALL", "GROUP BY 1, 2, ts", "", "one row for each hour, model"),
        ("GROUP BY ALL;", "GROUP BY ALL; SELECT 1;", "", "2 statements"),
        ("count(*) AS calls", "2 * count(*) AS calls", "", "does not add up"),
        ("tokens BIGINT =", "tokens NUMBR =", ", line 9", "tokens TYPE = PATH"),
        ("tokens BIGINT =", "tokens NUMBER[ =", ", line 9", "NUMBER["),
    ],
)
def test_a_wrong_statement_is_reported_and_stores_nothing(place, old, new, where, said):
    put(place.store, place.settings.dataset_named("calls"), DAY, calls(DAY, ["a"] * 3, [1, 2, 3]))
    path = place.folder / "rollups/calls.sql"
    assert old in FILE
    path.write_text(FILE.replace(old, new))

    rolled = rolled_up(place)[DAY]

    assert rolled.state == "failed"
    assert said in str(rolled.error)
    assert where in str(rolled.error)
    assert list(place.store.list("rollups/")) == []


def test_a_file_of_no_dataset_and_one_of_a_system_with_its_own(place):
    (place.folder / "rollups/call.sql").write_text(FILE)

    with pytest.raises(ConfigError, match=r"(?s)a rollup file that belongs to no dataset.*calls"):
        with_rollups(place.settings, ())
