"""Records that a later version wrote: which are read, which are refused, with what remedy."""

from __future__ import annotations

import json

import pytest

from lake import audit
from lake.base.errors import BadData
from lake.erased import ErasureEnd, read_erasures
from lake.holds.hold import Release, parsed_release
from lake.retention.records import Deletion, DeletionEnd, deletions
from lake.retired import DELETIONS
from lake.store.directory import DirectoryStore

AT = "2026-07-01T00:00:00+00:00"
ERASURE = {
    "id": "20260701T000000-aa",
    "dataset": "events",
    "at": AT,
    "who": "them@there",
    "version": "0.1.0",
    "writer": "there 1 2 3",
    "reason": "a request",
    "columns": ["user"],
    "condition": {},
    "days": {"2026-06-01": {"rows": 1, "sha256": "aa"}},
}
PIECE = {"key": "tables/events/day=2026-06-01/data.parquet", "bytes": 1, "etag": "e"}
ITEM = {"kind": "table", "name": "events", "day": "2026-06-01", "reason": "age", "pieces": [PIECE]}
DELETION = {
    "id": "20260701T000000-bb",
    "at": AT,
    "who": "them@there",
    "version": "0.1.0",
    "writer": "there 1 2 3",
    "policy": {},
    "items": [ITEM],
}
LATER = {"terms": "unknown"}


@pytest.fixture
def store(tmp_path) -> DirectoryStore:
    return DirectoryStore(tmp_path)


def written(store: DirectoryStore, key: str, record: object) -> None:
    store.write(key, json.dumps(record).encode())


def refused(raised: pytest.ExceptionInfo[BadData]) -> None:
    text = str(raised.value)
    assert "is of a later version" in text
    assert "unknown to this version: terms" in text
    assert "remedy: run that version" in text


def test_an_audit_entry_of_a_later_version_is_no_damage(store):
    """Its hash is of all its bytes, whatever of them this version reads."""
    first = audit.append(store, "hold", "events", "a test", details={})
    data = json.dumps(first.__dict__ | LATER).encode()
    store.write(audit.key_of(1), data)
    head = {"sequence": 1, "sha256": audit._hash(data)}
    written(store, audit.HEAD, head)
    second = audit.append(store, "release", "events", "a test", details={})
    assert second.sequence == 2
    assert [entry.action for entry in audit.entries(store)] == ["hold", "release"]
    assert audit.check(store).problems == ()


@pytest.mark.parametrize("entry", [[], "text", {"sequence": 1}])
def test_an_entry_that_is_none_is_damage(store, entry):
    written(store, audit.key_of(1), entry)
    assert "can't be read" in audit.check(store).problems[0]


def test_an_erasure_of_a_later_version_is_refused(store):
    key = f"erasures/events/{ERASURE['id']}.json"
    written(store, key, ERASURE)
    assert len(list(read_erasures(store))) == 1
    written(store, key, ERASURE | LATER)
    with pytest.raises(BadData) as raised:
        list(read_erasures(store))
    refused(raised)
    written(store, key, ERASURE)
    end = json.loads(ErasureEnd(AT, {}).to_bytes())
    written(store, key.replace(".json", ".done.json"), end | LATER)
    with pytest.raises(BadData) as raised:
        list(read_erasures(store))
    refused(raised)


@pytest.mark.parametrize(
    "record",
    [
        DELETION | LATER,
        DELETION | {"items": [ITEM | LATER]},
        DELETION | {"items": [ITEM | {"pieces": [PIECE | LATER]}]},
    ],
)
def test_a_deletion_of_a_later_version_is_refused(store, record):
    key = f"{DELETIONS}{DELETION['id']}.json"
    written(store, key, DELETION)
    ((deletion, _),) = deletions(store)
    assert isinstance(deletion, Deletion)
    written(store, key, record)
    with pytest.raises(BadData) as raised:
        list(deletions(store))
    refused(raised)


def test_the_end_of_a_deletion_of_a_later_version_is_refused(store):
    written(store, f"{DELETIONS}{DELETION['id']}.json", DELETION)
    end = json.loads(DeletionEnd(AT, 1).to_bytes())
    written(store, f"{DELETIONS}{DELETION['id']}.done.json", end | LATER)
    with pytest.raises(BadData) as raised:
        list(deletions(store))
    refused(raised)


def test_a_release_of_a_later_version_releases_nothing(store):
    release = Release("case", "over", "them@there", AT)
    assert parsed_release("case", release.to_bytes(), "there") == release
    with pytest.raises(BadData) as raised:
        parsed_release("case", json.dumps(json.loads(release.to_bytes()) | LATER).encode(), "there")
    refused(raised)
