"""Manifests that are read again and again: by how many requests, and never stale."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest

from lake.base.day import Day
from lake.base.errors import Missing, PermanentError
from lake.partition.layout import MANIFESTS, manifest_key
from lake.query import manifests
from lake.query.cached_store import FEW, cached_store

_SECTION = '[s3]\nendpoint_url = "{0}"\nregion = "{1}"\n'
FIRST = Day.parse("2026-05-01")
DAYS = [FIRST.plus(number) for number in range(FEW + 5)]


class Counting:
    """A store that counts single reads, and deletes a key after a listing."""

    def __init__(self, store: Any) -> None:
        self.store = store
        self.read_keys: list[str] = []
        self.deleted_after_listing = ""

    def __getattr__(self, name: str) -> Any:
        return getattr(self.store, name)

    def list(self, prefix: str) -> Iterator[Any]:
        yield from list(self.store.list(prefix))
        if self.deleted_after_listing:
            self.store.delete(self.deleted_after_listing)

    def read(self, key: str) -> bytes:
        self.read_keys.append(key)
        content: bytes = self.store.read(key)
        return content


@pytest.fixture
def site(make_lake, s3, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Any:
    """Two datasets on S3, one of them small; what has just been written counts as old."""
    monkeypatch.setenv("LAKE_CACHE_DIR", str(tmp_path / "cache"))
    monkeypatch.setattr(manifests, "_SETTLED", timedelta(minutes=-1))
    section = _SECTION.format(s3["endpoint_url"], s3["region"])
    site = make_lake("events", "few", root=f"s3://{s3['bucket']}/cached store", s3=section)
    for number, day in enumerate(DAYS):
        site.put("events", str(day), pa.table({"n": [number]}))
    site.put("few", str(FIRST), pa.table({"n": [1]}))
    return site


@pytest.fixture
def bulk_files(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """What DuckDB reads."""
    files: list[str] = []
    read = manifests.read_small
    monkeypatch.setattr(
        manifests,
        "read_small",
        lambda connected, sizes, *others: [files.extend(sizes), read(connected, sizes, *others)][1],
    )
    return files


def contents(store: Any, prefix: str = MANIFESTS) -> dict[str, bytes]:
    return {stat.key: store.read(stat.key) for stat in list(store.list(prefix))}


def test_many_are_read_at_once_in_whatever_folders(site, bulk_files) -> None:
    counting = Counting(site.store)
    store = cached_store(site.settings, counting)
    expected = contents(site.store)
    assert len(expected) == len(DAYS) + 1
    for _ in range(2):  # nothing is read again
        assert contents(store) == expected
        assert (len(bulk_files), counting.read_keys) == (len(DAYS) + 1, [])
    another = Counting(site.store)
    assert contents(cached_store(site.settings, another)) == expected  # nor by another process
    assert (len(bulk_files), another.read_keys) == (len(DAYS) + 1, [])


def test_few_are_read_one_by_one(site, bulk_files) -> None:
    counting = Counting(site.store)
    store = cached_store(site.settings, counting)
    assert contents(store, f"{MANIFESTS}few/") == contents(site.store, f"{MANIFESTS}few/")
    assert (bulk_files, counting.read_keys) == ([], [manifest_key("few", FIRST)])


def test_a_question_s_cache_is_the_store_s(site, bulk_files) -> None:
    with site.connect() as session:
        session.rows("SELECT count(*) FROM events")
    assert len(bulk_files) == len(DAYS)
    expected = contents(site.store)
    assert contents(cached_store(site.settings, site.store)) == expected
    assert len(bulk_files) == len(DAYS) + 1  # that of the other dataset
    with site.connect() as session:  # nor is it the other way round
        assert session.rows("SELECT count(*) AS c FROM events") == [{"c": len(DAYS)}]
    assert len(bulk_files) == len(DAYS) + 1


def test_part_of_a_folder_leaves_the_cache_whole(site, bulk_files) -> None:
    contents(cached_store(site.settings, site.store))
    before = len(bulk_files)
    contents(cached_store(site.settings, site.store), f"{MANIFESTS}events/2026-05-")
    contents(cached_store(site.settings, site.store))
    assert len(bulk_files) == before


def test_one_that_is_deleted_meanwhile(site) -> None:
    counting = Counting(site.store)
    counting.deleted_after_listing = manifest_key("events", DAYS[3])
    store = cached_store(site.settings, counting)
    keys = [stat.key for stat in store.list(MANIFESTS)]
    assert counting.deleted_after_listing in keys
    with pytest.raises(Missing):
        store.read(counting.deleted_after_listing)
    assert store.read(manifest_key("events", DAYS[4])) == site.store.read(
        manifest_key("events", DAYS[4])
    )


def test_without_duckdb_each_is_read_by_itself(site, monkeypatch, caplog) -> None:
    def refused(*_: object) -> None:
        raise PermanentError("DuckDB's extension for S3 is not here", remedy="install it")

    monkeypatch.setattr("lake.query.cached_store.connect", refused)
    assert contents(cached_store(site.settings, site.store)) == contents(site.store)
    (record,) = caplog.records
    assert record.getMessage().startswith("manifests/ is read object by object")
    assert "extension for S3" in record.getMessage()


def test_one_that_is_replaced(site) -> None:
    store = cached_store(site.settings, site.store)
    contents(store)
    site.put("events", str(DAYS[0]), pa.table({"n": [7, 8, 9]}))
    assert contents(store) == contents(site.store)
