"""The checks of a stored partition while another run replaces it."""

from __future__ import annotations

import json
from dataclasses import asdict

import pyarrow as pa
import pytest
from support.made_partitions import LINES, put

from assets.checks import check_partition
from lake.base.day import Day
from lake.base.errors import BadData
from lake.partition.layout import manifest_key, pending_key
from lake.process.running import this_writer
from lake.store.directory import DirectoryStore

DAY = Day.parse("2026-07-01")


def test_the_manifest_that_the_object_fits_is_the_one(tmp_path):
    """A run has replaced the object, and not yet the manifest."""
    store = DirectoryStore(tmp_path)
    put(store, LINES, DAY, pa.table({"line": ["a"]}))
    key = manifest_key(LINES.name, DAY)
    old = store.read(key)
    new = put(store, LINES, DAY, pa.table({"line": ["a", "b"]})).manifest
    store.write(key, old)
    claim = {"manifest": asdict(new), "writer": this_writer()}
    store.write(pending_key(LINES.name, DAY), json.dumps(claim).encode())
    stored, rows = check_partition(store, LINES, DAY)
    assert (stored.problem, rows.problem, rows.shown["rows"]) == ("", "", 2)


def test_a_manifest_that_cannot_be_read_is_an_error(tmp_path):
    store = DirectoryStore(tmp_path)
    put(store, LINES, DAY, pa.table({"line": ["a"]}))
    store.write(manifest_key(LINES.name, DAY), b"{")
    with pytest.raises(BadData):
        check_partition(store, LINES, DAY)
