import json

import pytest

from lake.base.day import Day
from lake.base.errors import BadData
from lake.partition.layout import partition_of_manifest, partition_of_table, table_key
from lake.partition.ledger import read_ledger, read_manifest
from lake.partition.manifest import Manifest, write_manifest
from lake.store.directory import DirectoryStore

FIELDS = {
    "dataset": "events", "day": "2026-07-05", "source": "mongo", "key": "tables/x", "rows": 1,
    "bytes": 2, "sha256": "ab", "source_count": 1, "count_method": "count", "window": {},
    "schema": [], "created_at": "2026-07-06T00:00:00+00:00", "version": "0.1.0",
}  # fmt: skip


def test_what_is_written_is_read(tmp_path):
    store = DirectoryStore(tmp_path)
    manifest = Manifest(**FIELDS, details={"größe": 1})
    write_manifest(store, manifest)
    day = Day.parse("2026-07-05")
    assert read_manifest(store, "events", day) == manifest
    assert read_manifest(store, "events", day.plus(1)) is None
    assert read_ledger(store, "events") == {day: manifest}
    assert json.loads(store.read("manifests/events/2026-07-05.json"))["details"] == {"größe": 1}


def test_a_newer_versions_fields_are_left_alone():
    text = json.dumps({**FIELDS, "verified_by": "someone"}).encode()
    assert Manifest.from_bytes(text, "here") == Manifest(**FIELDS)


@pytest.mark.parametrize(
    "change",
    [
        {"rows": None},
        {"rows": "1"},
        {"day": "yesterday"},
        {"schema": {}},
        {"window": []},
        {"day": 5},
    ],
)
def test_wrong_types_are_not_believed(change):
    with pytest.raises(BadData) as caught:
        Manifest.from_bytes(json.dumps(FIELDS | change).encode(), "here")
    assert caught.value.parts["where"] == "here"


@pytest.mark.parametrize("missing", FIELDS)
def test_every_field_is_needed(missing):
    fields = {name: value for name, value in FIELDS.items() if name != missing}
    with pytest.raises(BadData, match=missing):
        Manifest.from_bytes(json.dumps(fields).encode(), "here")


def test_the_ledger_by_range_and_with_its_damage(tmp_path):
    store = DirectoryStore(tmp_path)
    for number in range(1, 6):
        write_manifest(store, Manifest(**FIELDS | {"day": f"2026-07-0{number}"}))
    store.write("manifests/events/2026-07-03.json", b"x")
    store.write("manifests/events/notes.txt", b"x")
    store.write("manifests/events/old/2026-07-03.json", b"x")
    store.write("manifests/events2/2026-07-04.json", b"x")
    first, last = Day.parse("2026-07-02"), Day.parse("2026-07-05")
    ledger = read_ledger(store, "events", first, last)
    assert [str(day) for day in ledger] == ["2026-07-02", "2026-07-03", "2026-07-04"]
    assert isinstance(ledger[first.plus(1)], BadData)
    assert len(read_ledger(store, "events", first.plus(2))) == 2


def test_keys_to_and_from():
    day = Day.parse("2026-07-05")
    assert table_key("events", day) == "tables/events/day=2026-07-05/data.parquet"
    assert partition_of_table(table_key("events", day)) == ("events", day)
    assert partition_of_manifest("manifests/events/2026-07-05.json") == ("events", day)
    for odd in ("tables/events/day=x/data.parquet", "tables/events/day=2026-07-05/other.parquet",
                "manifests/events/2026-07-05.json", "tables/data.parquet"):  # fmt: skip
        assert partition_of_table(odd) is None
    for odd in ("manifests/events/x.json", "tables/2026-07-05.json", "manifests/2026-07-05.json"):
        assert partition_of_manifest(odd) is None
