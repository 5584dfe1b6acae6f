"""The audit log's check beside runs that append."""

from __future__ import annotations

import pytest

from lake import audit
from lake.store.directory import DirectoryStore


def append(store: DirectoryStore, number: int = 1) -> None:
    for _ in range(number):
        audit.append(store, "hold", "events", "a test", details={})


def test_an_entry_that_is_appended_meanwhile_is_not_missing(tmp_path, monkeypatch):
    store = DirectoryStore(tmp_path)
    append(store, 3)
    read, appended = store.read, iter([True])

    def appending(key: str) -> bytes:
        data = read(key)
        if key == audit.key_of(2) and next(appended, False):
            append(store)
        return data

    monkeypatch.setattr(store, "read", appending)
    assert audit.check(store).problems == ()
    assert audit.check(store).entries == 4


@pytest.mark.parametrize("number", [2, 4])
def test_one_that_is_gone_is_missing(tmp_path, number):
    store = DirectoryStore(tmp_path)
    append(store, 4)
    store.delete(audit.key_of(number))
    assert audit.check(store).problems == (f"entry {number} is missing",)
