"""Erasure of a person whose name some columns leave out, against the server's documents."""

from __future__ import annotations

import json
from datetime import timedelta
from pathlib import Path
from typing import Any
from uuid import uuid4

import pymongo
import pytest
from bson import Binary

from lake.base.day import Day

FIRST = Day.parse("2026-07-05")
# Of each day: its documents' fields.
DAYS: list[list[dict[str, Any]]] = [
    [{"who": "kim"}, {"who": "lee"}, {"Who": "kim"}],  # the commoner spelling has the column
    [{"who": 5}, {"who": 6}, {"who": "kim"}],  # so have numbers, and sub-documents
    [{"who": {"id": "lee"}}, {"who": {"id": "max"}}, {"who": "kim"}],
    [{"who": "kim"}, {"who": "lee"}],
]


@pytest.fixture
def stored(tmp_path: Path, mongo_uri: str, mongo_database: str, lake, monkeypatch) -> Any:
    config = tmp_path / "lake.toml"
    config.write_text(f"""
[lake]
root = "lake"
[sources.mongo]
uri = "{mongo_uri}"
database = "{mongo_database}"
[hot]
mongo = 40000
[[dataset]]
name = "events"
source = "mongo"
collection = "events"
""")
    monkeypatch.setenv("LAKE_CONFIG", str(config))
    with pymongo.MongoClient[dict[str, Any]](mongo_uri) as client:
        events = client[mongo_database]["events"]
        for number, documents in enumerate(DAYS):
            for minute, fields in enumerate(documents):
                stamp = FIRST.plus(number).start + timedelta(minutes=minute)
                events.insert_one({"_id": 10 * number + minute, "timestamp": stamp, **fields})
        last = FIRST.plus(len(DAYS))
        code, _, err = lake("export", "events", "--from", FIRST, "--to", last)
        assert code == 0, err
        yield events


def ids(lake) -> set[int]:
    _, out, _ = lake("query", "SELECT _id FROM events", "--json")
    return {row["_id"] for row in json.loads(out)}


def test_rows_whose_value_is_in_no_column_are_named(stored, lake) -> None:
    theirs = {d["_id"] for d in stored.find({"$or": [{"who": "kim"}, {"Who": "kim"}]})}
    code, out, _ = lake("erase", "events", "--where", "who = 'kim'", "--yes", "--json")
    report = json.loads(out)
    # Exit status 1: it did not look everywhere.
    assert (code, report["result"]["erased"]) == (1, 2)
    assert report["plan"]["left_out"] == [
        "events: column who leaves out 2 values on 2 days (see _rest, _raw)",
        "events: column Who leaves out 1 value on 1 day (see _rest, _raw)",
    ]
    assert len(theirs & ids(lake)) == 3
    where = "who = 'kim' OR contains(_rest, to_json('kim'))"
    code, out, _ = lake("erase", "events", "--where", where, "--yes", "--json")
    report = json.loads(out)
    assert (code, report["plan"]["left_out"], report["result"]["erased"]) == (0, [], 3)
    assert ids(lake) == {document["_id"] for document in stored.find()} - theirs


def test_documents_that_only_bson_expresses_are_named(stored, lake) -> None:
    """What looks like Extended JSON, such as {"$oid": …}, can be in no `_rest`."""
    day = FIRST.plus(len(DAYS))
    others = ({"$date": "x"}, {"$oid": "kimberly"})
    for number, who in enumerate(("lee", {"id": "lee"}, {"$oid": "kim"}, *others), 100):
        stored.insert_one({"_id": number, "timestamp": day.start, "who": who})
    assert lake("export", "events", "--day", day)[0] == 0
    where = "CAST(who AS VARCHAR) LIKE '%kim%' OR contains(_rest, to_json('kim'))"
    code, out, _ = lake("erase", "events", "--where", where, "--from", day, "--dry-run")
    assert code == 1
    assert "events: 3 documents on 1 day may have values in _raw alone" in out
    where += " OR contains(hex(_raw), concat('00', hex('kim'), '00'))"
    code, out, _ = lake("erase", "events", "--where", where, "--from", day, "--yes", "--json")
    report = json.loads(out)
    assert (code, report["plan"]["left_out"], report["result"]["erased"]) == (0, [], 1)
    assert {100, 101, 103, 104} == {number for number in ids(lake) if number >= 100}


def test_arrays_beside_texts_of_other_days_are_named(stored, lake) -> None:
    """On one day such values are in no column; on days of their own they are text in it."""
    text, day = FIRST.plus(len(DAYS) - 1), FIRST.plus(len(DAYS))
    for number, who in enumerate((["kim", "lee"], ["max"]), 100):
        stored.insert_one({"_id": number, "timestamp": day.start, "who": who})
    assert lake("export", "events", "--day", day)[0] == 0
    code, out, _ = lake("erase", "events", "--where", "who = 'kim'", "--from", text, "--dry-run")
    assert (code, "1 row of 1 day matches" in out) == (0, True)
    several = "column who has several types (VARCHAR on 1 day, LIST on 1 day)"
    assert f"as text    events: {several}: its arrays and sub-documents are JSON text" in out
    assert "contains(…, to_json('…')) finds a value in it" in out
    where = "who = 'kim' OR contains(who, to_json('kim'))"
    lake("erase", "events", "--where", where, "--from", text, "--yes")
    assert not {30, 100} & ids(lake)
    _, out, _ = lake("erase", "events", "--where", "_id = 101", "--dry-run")
    assert "as text" not in out


def test_values_of_rest_are_found_whole(stored, lake) -> None:
    """Of texts that begin or end alike, or that LIKE takes for the same, only the one."""
    day = FIRST.plus(len(DAYS))
    names = ["user_1", "user_10", "userX1", "a user_1", 'say "user_1" \\', "Zoë", "50%"]
    for number, who in enumerate([1, 2, 3, 4, 5, 6, 7, 8, *names], 100):
        stored.insert_one({"_id": number, "timestamp": day.start, "who": who})
    assert lake("export", "events", "--day", day)[0] == 0
    for number, name in enumerate(names, 108):
        text = name.replace("'", "''")
        where = f"contains(_rest, to_json('{text}'))"
        assert lake("erase", "events", "--where", where, "--from", day, "--yes")[0] == 0
        assert {n for n in ids(lake) if n >= 108} == set(range(number + 1, 108 + len(names)))


def test_a_uuid_that_rest_has_in_base64_is_named(stored, lake) -> None:
    """On a day on which most have it as text, it is in no column, and no text finds it."""
    day, mine, other = FIRST.plus(len(DAYS)), uuid4(), uuid4()
    values = (str(mine), str(other), "x", Binary.from_uuid(mine), Binary.from_uuid(other))
    for number, who in enumerate(values, 100):
        stored.insert_one({"_id": number, "timestamp": day.start, "who": who})
    assert lake("export", "events", "--day", day)[0] == 0
    where = f"who = '{mine}' OR contains(_rest, to_json('{mine}'))"
    _, out, _ = lake("erase", "events", "--where", where, "--from", day, "--dry-run")
    assert "events: 2 documents on 1 day with binary values, such as UUIDs, in _rest" in out
    (shown,) = [line for line in out.splitlines() if "to_base64" in line]
    where += shown.replace("…", "").replace("UUID", str(mine))
    code, out, _ = lake("erase", "events", "--where", where, "--from", day, "--yes", "--json")
    assert (code, json.loads(out)["result"]["erased"]) == (0, 2)
    assert {n for n in ids(lake) if n >= 100} == {101, 102, 104}


def test_erased_values_are_no_longer_left_out(stored, lake) -> None:
    """Of a day without any; of another what the export left out. So the same command, run again,
    has looked everywhere.
    """
    day, second = FIRST.plus(len(DAYS)), FIRST.plus(len(DAYS) + 1)
    for number, who in enumerate((1, 2, "kim"), 100):
        stored.insert_one({"_id": number, "timestamp": day.start, "who": who})
    for number, who in enumerate((1, 2, 3, "kim", "lee"), 200):
        stored.insert_one({"_id": number, "timestamp": second.start, "who": who})
    assert lake("export", "events", "--from", day, "--to", second.plus(1))[0] == 0
    where = "contains(_rest, to_json('kim'))"
    assert lake("erase", "events", "--where", where, "--from", day, "--yes")[0] == 0
    query = f"SELECT who FROM events_between(DATE '{day}', DATE '{second.plus(1)}')"
    assert "column who leaves out 2 values on 1 day" in (err := lake("query", query)[2]), err
    again = ("erase", "events", "--where", "who = 'kim'", "--dry-run")
    assert lake(*again, "--from", day, "--to", second)[0] == 0
    assert lake(*again, "--from", second)[0] == 1
    assert lake("verify", "events", "--from", day, "--to", second.plus(1), "--deep")[0] == 0


def test_days_with_one_problem_are_one_line(stored, lake) -> None:
    """A condition that fails on each day fails for the same reason."""
    day = FIRST.plus(len(DAYS))
    for number in range(3):
        stored.insert_one({"_id": 100 + number, "timestamp": day.plus(number).start, "tags": ["x"]})
    assert lake("export", "events", "--from", day, "--to", day.plus(3))[0] == 0
    code, out, _ = lake("erase", "events", "--where", "tags = 'kim'", "--yes")
    assert code == 1
    (line,) = [line for line in out.splitlines() if "not searched" in line]
    assert f"not searched  {FIRST} … {day.plus(2)} (7 days): the query failed" in line


def test_days_and_columns_without_such_values(stored, lake) -> None:
    last = FIRST.plus(len(DAYS) - 1)
    assert lake("erase", "events", "--where", "who = 'kim'", "--from", last, "--yes")[0] == 0
    assert lake("erase", "events", "--where", "_id = 0", "--yes")[0] == 0
    code, out, _ = lake("erase", "events", "--where", "who = 'kim'", "--dry-run")
    assert (code, "a condition on _rest" in out) == (1, True)
