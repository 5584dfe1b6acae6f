"""`lake init` on collections of every kind: their time fields, what expires, what is capped."""

from __future__ import annotations

import json
import re
import tomllib
from datetime import UTC, date, datetime, timedelta

import pymongo
import pytest
from bson import ObjectId

from lake.base.day import Day
from lake.config.settings import load


def read(path):
    return tomllib.loads(path.read_text())


def test_collections_and_their_time_fields(lake, collections, tmp_path):
    code, out, _ = lake("init", "--mongo", collections, "--json")
    assert code == 0
    printed = json.loads(out)
    collections_ = {d["collection"]: d for d in read(tmp_path / "lake.toml")["dataset"]}
    assert collections_["withTtl"]["name"] == "with_ttl"
    assert {name: d.get("time_field") for name, d in collections_.items()} == {
        "withTtl": "createdAt",
        "held": "at",
        "nested": "meta.when",
        "partly": "ts",
        "by_id": None,
    }
    assert collections_["by_id"]["time_fallback"] == "_id"
    assert set(printed["left_out"]) == {"timeless", "nothing"}
    assert printed["hot"] == {"mongo": 30}
    assert printed["first_day"] == str(Day.today().plus(-4))
    text = (tmp_path / "lake.toml").read_text()
    assert "TTL 30 days" in text
    assert "NOT indexed" in text
    assert "a date in 83% of a sample" in text
    assert '# name = "timeless"' in text
    assert load(str(tmp_path / "lake.toml"), {}).hot.mongo == 30


@pytest.mark.parametrize(
    ("index", "hot", "text"),
    [
        ({}, 3650, "nothing expires"),
        ({"expireAfterSeconds": 2**31 - 1}, 3650, "nothing expires"),
        ({"expireAfterSeconds": 0}, 90, "unknown"),
        ({"expireAfterSeconds": 7 * 86_400}, 7, "shortest TTL"),
    ],
)
def test_what_expires(lake, mongo_uri, mongo_database, tmp_path, index, hot, text):
    now = datetime.now(UTC)
    name = "at" if hot == 7 else "expireAt"
    with pymongo.MongoClient(mongo_uri) as client:
        kept = client[mongo_database].kept
        kept.insert_one({"at": now, "expireAt": now + timedelta(days=9)})
        kept.create_index(name, **index)
    assert lake("init", "--mongo", f"{mongo_uri}/{mongo_database}")[0] == 0
    assert read(tmp_path / "lake.toml")["hot"] == {"mongo": hot}
    line = next(x for x in (tmp_path / "lake.toml").read_text().splitlines() if "mongo = " in x)
    assert text in line


def test_dates_as_text_are_exported_by_way_of_a_view(lake, mongo_uri, mongo_database, tmp_path):
    """The view that the file suggests gives the collection a date; the next file exports it."""
    with pymongo.MongoClient(mongo_uri) as client:
        events = client[mongo_database].events
        texts = ("2026-11-22T08:59:59.500+09:00", "2026-11-22T09:00:00.500+09:00")
        events.insert_many(
            {"_id": f"e{n}", "day": "2026-11-22", "meta": {"at": text}}
            for n, text in enumerate(texts)
        )
        assert lake("init", "--mongo", f"{mongo_uri}/{mongo_database}")[0] == 0
        file = (tmp_path / "lake.toml").read_text("utf-8")
        assert "meta.at is a date as text" in file
        view = re.search(r'db\.createView\("(.*?)", "events", \[(.*)\]\)', file)
        name, stage = view.groups()
        stage = re.sub(r"(\$?\w+):(?= )", r'"\1":', stage)
        client[mongo_database].command(
            {"create": name, "viewOn": "events", "pipeline": [json.loads(stage)]}
        )
    assert lake("init", "--mongo", f"{mongo_uri}/{mongo_database}", "--force")[0] == 0
    (dataset,) = read(tmp_path / "lake.toml")["dataset"]
    assert (dataset["collection"], dataset["time_field"]) == ("events_by_date", "meta.at_date")
    assert read(tmp_path / "lake.toml")["lake"]["first_day"] == date(2026, 11, 21)
    commented = file.replace("\n# [[dataset]]", "\n[[dataset]]").replace("\n# name", "\nname")
    commented = re.sub(r"\n# (source|collection|time_field) =", r"\n\1 =", commented)
    assert tomllib.loads(commented)["dataset"] == [dataset | {"name": "events"}]
    assert lake("export", "--day", "2026-11-22")[0] == 0
    code, out, _ = lake("query", "--csv", "SELECT _id FROM events_by_date")
    assert (code, out.split()) == (0, ["_id", "e1"])


def test_documents_dated_by_their_ids_count_for_the_first_day(
    lake, mongo_uri, mongo_database, tmp_path
):
    with pymongo.MongoClient(mongo_uri) as client:
        old = datetime(2025, 3, 4, 5, tzinfo=UTC)
        client[mongo_database].sessions.insert_many(
            [{"_id": ObjectId.from_datetime(old)}, {"x": 1}]
        )
        client[mongo_database].orders.insert_one({"at": datetime.now(UTC)})
    code, out, _ = lake("init", "--mongo", f"{mongo_uri}/{mongo_database}")
    assert code == 0
    assert "2 documents, the oldest from 2025-03-04" in out
    assert read(tmp_path / "lake.toml")["lake"]["first_day"] == date(2025, 3, 4)


def test_a_capped_collection_is_named(lake, mongo_uri, mongo_database, tmp_path):
    with pymongo.MongoClient(mongo_uri) as client:
        client[mongo_database].create_collection("ring", capped=True, size=4096)
        client[mongo_database].ring.insert_one({"at": datetime.now(UTC)})
    code, out, _ = lake("init", "--mongo", f"{mongo_uri}/{mongo_database}")
    assert (code, "capped: new documents overwrite the oldest" in out) == (0, True)
    assert "but the oldest of what is capped: ring" in (tmp_path / "lake.toml").read_text("utf-8")
