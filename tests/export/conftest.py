"""A lake in a directory with two datasets and a source in memory, on a day that stays."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path

import pytest
from support.command_line import runner
from support.fake_source import FakeSource

from lake.base.day import Day
from lake.config.settings import Settings, load
from lake.export import Exporter
from lake.store import Store, open_store

TODAY = "2026-07-10"
FILE = """
[lake]
root = "lake"
[sources.mongo]
uri = "mongodb://127.0.0.1:1"
database = "d"
[hot]
mongo = 30
[[dataset]]
name = "events"
source = "mongo"
collection = "events"
[[dataset]]
name = "users"
source = "mongo"
collection = "users"
"""


@dataclass
class Place:
    """Everything a test of the export needs."""

    config: Path
    settings: Settings
    store: Store
    source: FakeSource
    exporter: Exporter

    def export(self, day: str, dataset: str = "events", **options):
        return self.exporter.export(self.settings.dataset_named(dataset), Day.parse(day), **options)

    def files(self) -> dict[str, bytes]:
        """Every object, read back."""
        return {stat.key: self.store.read(stat.key) for stat in self.store.list("")}

    def manifest(self, day: str, dataset: str = "events") -> dict:
        return json.loads(self.store.read(f"manifests/{dataset}/{day}.json"))


@pytest.fixture(autouse=True)
def _today(monkeypatch):
    monkeypatch.setattr(Day, "today", classmethod(lambda cls: Day.parse(TODAY)))


@pytest.fixture
def place(tmp_path, monkeypatch) -> Place:
    config = tmp_path / "lake.toml"
    config.write_text(FILE)
    settings, source = load(str(config), {}), FakeSource()
    monkeypatch.setattr("lake.export.open_source", lambda name, settings: source)
    store = open_store(settings)
    return Place(config, settings, store, source, Exporter(settings))


@pytest.fixture
def lake(place, monkeypatch, capsys):
    """Runs the command line: exit status, standard output, standard error."""
    monkeypatch.setenv("LAKE_CONFIG", str(place.config))
    with runner(monkeypatch, capsys) as run:
        yield run
