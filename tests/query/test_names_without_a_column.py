"""A query of a field that has no column: the error has the expression that reads it."""

from __future__ import annotations

import json
import re
from datetime import UTC, datetime, timedelta
from pathlib import Path

import bson
import pymongo
import pytest

from lake.base.day import Day
from lake.base.errors import UsageError
from lake.config.settings import load
from lake.export import Exporter
from lake.query import connect

_DAY = Day.parse("2026-07-01")
_TIME = datetime(2026, 7, 1, 5, tzinfo=UTC)


@pytest.fixture
def events(tmp_path: Path, mongo_uri: str, mongo_database: str) -> Path:
    """A field of regular expressions, which have no column, and more names than a table has."""
    config = tmp_path / "lake.toml"
    config.write_text(
        f"""
[lake]
root = "lake"
[sources.mongo]
uri = "{mongo_uri}"
database = "{mongo_database}"
[[dataset]]
name = "events"
source = "mongo"
collection = "events"
[[dataset]]
name = "wide"
source = "mongo"
collection = "wide"
"""
    )
    with pymongo.MongoClient(mongo_uri) as client:
        database = client[mongo_database]
        names = {f"k{number:04}": number for number in range(1100)}
        for day in range(2):
            time = _TIME + timedelta(days=day)
            database["events"].insert_one({"timestamp": time, "Filter": bson.Regex("^a"), "n": 1})
            database["wide"].insert_one({"timestamp": time, **names, "rare": 7})
    settings = load(config)
    exporter = Exporter(settings)
    try:
        for dataset in settings.dataset:
            for day in (_DAY, _DAY.plus(1)):
                exporter.export(dataset, day)
    finally:
        exporter.close()
    return config


@pytest.mark.parametrize(
    ("statement", "value"),
    [
        ("SELECT filter FROM events", {"$regularExpression": {"pattern": "^a", "options": ""}}),
        ("SELECT e.Filter FROM events e", {"$regularExpression": {"pattern": "^a", "options": ""}}),
        ("SELECT rare FROM wide", {"$numberInt": "7"}),
    ],
)
def test_the_remedy_reads_the_value(events: Path, statement: str, value: object) -> None:
    dataset = statement.partition("FROM ")[2].partition(" ")[0]
    with connect(str(events)) as session:
        with pytest.raises(UsageError) as raised:
            session.ask(statement)
        expression = re.search(r"json_extract\(.*?'\)", str(raised.value.parts["remedy"]))
        assert expression, raised.value
        (text,), *_ = session.ask(f"SELECT {expression[0]} FROM {dataset} ORDER BY day").rows
    assert json.loads(text) == value


def test_a_name_that_is_nowhere(events: Path) -> None:
    with connect(str(events)) as session, pytest.raises(UsageError) as raised:
        session.ask("SELECT nowhere FROM events")
    assert "_rest" not in str(raised.value.parts["remedy"])


@pytest.mark.parametrize("table", ["wide", "wide_between(DATE '2026-07-01', DATE '2026-07-02')"])
def test_more_names_than_a_table_has_columns_are_all_in_a_row(events: Path, table: str) -> None:
    """Names that all days have are as common as `_rest` and `_raw`, which stay."""
    with connect(str(events)) as session:
        for row in session.rows(f"FROM {table}"):
            assert row["_raw"] is None
            rest = {
                name: int(value["$numberInt"]) for name, value in json.loads(row["_rest"]).items()
            }
            fields = {name: value for name, value in row.items() if name.startswith("k")} | rest
            assert fields == {f"k{number:04}": number for number in range(1100)} | {"rare": 7}
