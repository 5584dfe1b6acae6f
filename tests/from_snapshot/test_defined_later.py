"""What a restored dump proves of a collection that no dataset named when it was taken."""

from __future__ import annotations

import gzip
import json
from pathlib import Path

import pytest
from support.made_snapshots import made_snapshot

from lake.base.day import Day
from lake.base.errors import Incomplete, Missing
from lake.config.settings import Settings, load
from lake.systems.mongo.system import SYSTEM

TAKEN = Day.parse("2026-03-20")
FILE = """
[lake]
root = "lake"
[sources.mongo]
uri = "mongodb://127.0.0.1:1"
database = "d"
[hot]
mongo = 10
[[dataset]]
name = "events"
source = "mongo"
collection = "events"
time_field = "at"
[[dataset]]
name = "later"
source = "mongo"
collection = "{collection}"
time_field = "at"
"""
COUNTED_AS = {"collection": "events", "time_field": "at", "time_fallback": None}


@pytest.fixture
def into(tmp_path: Path) -> Path:
    """A restored dump of three collections, one of which expires after five days."""
    folder = tmp_path / "into" / "dump" / "d"
    folder.mkdir(parents=True)
    own = {"v": 2, "key": {"_id": 1}, "name": "_id_"}
    ttl = {"v": 2, "key": {"at": 1}, "name": "at_1", "expireAfterSeconds": 5 * 86_400}
    for name, indexes in (("events", [own]), ("expiring", [own, ttl]), ("empty", [own])):
        metadata = {"collectionName": name, "type": "collection", "indexes": indexes}
        file = folder / f"{name}.metadata.json.gz"
        file.write_bytes(gzip.compress(json.dumps(metadata | {"options": {}}).encode()))
    mark = tmp_path / "into" / "mongo" / "loaded.json"
    mark.parent.mkdir()
    mark.write_text(json.dumps({"documents": {}, "remarks": [], "left_out": ["squeezed"]}))
    (folder / "squeezed.metadata.json.gz").write_bytes(
        gzip.compress(b'{"collectionName": "squeezed", "type": "timeseries"}')
    )
    return tmp_path / "into"


def settings_with(into: Path, collection: str) -> Settings:
    file = into.parent / "lake.toml"
    file.write_text(FILE.format(collection=collection))
    return load(str(file), {})


def require(into: Path, collection: str, ago: int, name: str = "later", **how) -> None:
    """The day that number of days before the snapshot."""
    settings = settings_with(into, collection)
    details = {
        "database": "d",
        "scope": how.get("scope", "full"),
        "documents_by_day": {"events": {}, **how.get("counted", {})},
        "counted_as": how.get("counted_as", {"events": COUNTED_AS}),
    }
    counts = {"documents": {"events": 5, "expiring": 5, "empty": 0, "squeezed": 5}}
    manifest = made_snapshot("mongo", TAKEN, [], details=details, counts=counts)
    SYSTEM.require_held(
        settings, manifest, into, settings.dataset_named(name), TAKEN.plus(-ago),
        unproven=how.get("unproven", False),
    )  # fmt: skip


def test_a_collection_of_its_time(into):
    require(into, "events", 9, "events")
    require(into, "events", 50, "events")  # the whole days of the manifest are about it


def test_a_day_that_nothing_had_removed(into):
    require(into, "events", 9)
    require(into, "expiring", 4)


@pytest.mark.parametrize(
    ("collection", "ago", "found"),
    [
        ("expiring", 5, "a TTL index on at of 432000 s"),
        ("events", 10, f"a snapshot taken {TAKEN}T03:00:00+00:00"),
        ("empty", 3, "no document in the collection 'empty': it may have been emptied"),
    ],
)
def test_a_day_of_which_documents_may_be_gone(into, collection, ago, found):
    with pytest.raises(Incomplete) as raised:
        require(into, collection, ago)
    assert "the dataset was defined later" in raised.value.what
    assert raised.value.parts["found"] == found
    assert "--allow-shrink" in raised.value.parts["remedy"]
    require(into, collection, ago, unproven=True)


def test_a_dataset_that_was_another_one_then(into):
    other = {"counted": {"later": {}}, "counted_as": {"later": {**COUNTED_AS, "time_field": "t"}}}
    with pytest.raises(Incomplete):
        require(into, "events", 50, **other)
    require(into, "events", 50, counted={"later": {}}, counted_as={"later": COUNTED_AS})
    require(into, "events", 50, counted={"later": {}}, counted_as={})  # of an earlier version


def test_a_dump_of_a_day_has_its_own_datasets_only(into):
    for unproven in (False, True):
        with pytest.raises(Incomplete, match="holds the documents of its datasets only"):
            require(into, "events", 1, scope="day", unproven=unproven)


@pytest.mark.parametrize("unproven", [False, True])
def test_documents_that_are_not_there(into, unproven):
    with pytest.raises(Missing) as missing:
        require(into, "typo", 1, unproven=unproven)
    assert missing.value.parts["expected"] == "one of empty, events, expiring, squeezed"
    with pytest.raises(Incomplete, match="can't hold the collection 'squeezed'"):
        require(into, "squeezed", 1, unproven=unproven)
