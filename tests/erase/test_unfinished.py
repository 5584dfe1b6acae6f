"""What killed exports and snapshots leave in a store has the rows, too: the plan names it."""

from __future__ import annotations

import json
import os
import signal
from pathlib import Path

import pymongo
import pytest
from support import erasing
from support.forked import started

from lake.base.errors import Refused
from lake.config.settings import load
from lake.snapshot import take_snapshot
from lake.store import open_store
from lake.store.directory import DirectoryStore

TOKEN = b"tok-51bd22aa"


def killed_export(folder: Path) -> None:
    os.environ["LAKE_FAULT"] = "SIGKILL complete tables/*"
    settings = erasing.settings_of(folder)
    dataset = settings.dataset_named("events")
    erasing.exporter(settings, open_store(settings)).export(dataset, erasing.DAY, force=True)


def killed_snapshot(config: Path, fault: str) -> None:
    os.environ["LAKE_FAULT"] = fault
    settings = load(str(config))
    take_snapshot(settings, open_store(settings), "mongo")


def plan(lake, where: str) -> list[str]:
    code, out, _ = lake("erase", "events", "--where", where, "--dry-run", "--json")
    assert code == 0
    return json.loads(out)["plan"]["unused"]


def parts(folder: Path) -> list[bytes]:
    return [part.read_bytes() for part in (folder / "lake/.parts").iterdir()]


def test_the_part_of_a_killed_export(tmp_path, lake, monkeypatch):
    erasing.make(tmp_path)
    monkeypatch.setenv("LAKE_CONFIG", str(tmp_path / "lake.toml"))
    assert plan(lake, erasing.WHERE) == []
    process = started(killed_export, tmp_path)
    process.join()
    assert process.exitcode == -signal.SIGKILL
    assert any(TOKEN in part for part in parts(tmp_path))
    (sentence,) = plan(lake, "text = 'nobody'")  # the rows may be nowhere else
    assert sentence.startswith(f"an unfinished upload of {erasing.DAY}, perhaps, begun ")
    _, out, _ = lake(
        "erase", "events", "--where", "text = 'x'", "--from", "2026-08-01", "--dry-run"
    )
    assert "upload" not in out
    lake("status", "--repair", "--no-sources")
    assert not any(TOKEN in part for part in parts(tmp_path))
    assert plan(lake, erasing.WHERE) == []


@pytest.fixture
def hot_events(tmp_path, mongo_uri, mongo_database, lake, monkeypatch) -> Path:
    config = tmp_path / "lake.toml"
    config.write_text(f"""
[lake]
root = "{tmp_path}/lake"
[sources.mongo]
uri = "{mongo_uri}"
database = "{mongo_database}"
[snapshots.mongo]
tool = "native"
[[dataset]]
name = "events"
source = "mongo"
collection = "events"
""")
    monkeypatch.setenv("LAKE_CONFIG", str(config))
    with pymongo.MongoClient(mongo_uri) as client:
        stamp = erasing.DAY.start
        client[mongo_database].events.insert_one({"_id": 1, "timestamp": stamp, "who": "kim"})
    code, _, err = lake("export", "events", "--day", erasing.DAY)
    assert code == 0, err
    return config


def test_what_killed_snapshots_leave(hot_events, lake, monkeypatch):
    config, store = hot_events, open_store(load(str(hot_events)))
    assert plan(lake, "who = 'kim'") == []
    for fault in ("SIGKILL complete mongo/*/packs/*", "SIGKILL begin mongo/*manifest.json"):
        process = started(killed_snapshot, config, fault)
        process.join()
        assert process.exitcode == -signal.SIGKILL
    (sentence,) = plan(lake, "who = 'kim'")
    assert sentence.startswith("1 object (")
    assert ") and 1 unfinished upload below mongo/ that no snapshot needs" in sentence
    lake("snapshots", "clean")
    assert plan(lake, "who = 'kim'") == [sentence]  # a day has to pass
    monkeypatch.setattr("lake.snapshot._UNFINISHED_AFTER_S", -1)
    lake("snapshots", "clean")
    assert plan(lake, "who = 'kim'") == []
    assert store.unfinished("mongo/") == ()


def test_a_store_that_does_not_list_uploads(tmp_path, lake, monkeypatch, caplog):
    def refused(store, prefix):
        raise Refused("S3 refused the request", where=store.url(prefix))

    erasing.make(tmp_path)
    monkeypatch.setenv("LAKE_CONFIG", str(tmp_path / "lake.toml"))
    monkeypatch.setattr(DirectoryStore, "unfinished", refused)
    unused = plan(lake, erasing.WHERE)
    assert [sentence.split(",")[0] for sentence in unused] == [
        "unfinished uploads below tables/events/",
        "unfinished uploads below rollups/events/",
        "unfinished uploads below mongo/",
    ]
    assert "S3 refused the request" in unused[0]
    assert lake("snapshots", "clean")[0] == 0
    assert "unfinished uploads below mongo/ stay: S3 refused the request" in caplog.text
