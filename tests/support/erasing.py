"""Erasures in processes of their own, which tests kill and let race.

Imported by the processes, too, which are forked from a server that has everything loaded.
"""

from __future__ import annotations

import multiprocessing
import os
from pathlib import Path

import pyarrow as pa

from lake.base.day import Day
from lake.config.settings import Settings, load
from lake.erase import ErasureResult, Planner, erase
from lake.export import Exporter
from lake.store import Store, open_store
from support import fake_source
from support.forked import started

DAY = Day.parse("2026-07-05")
TOKEN = "tok-51bd22aa"
WHERE = f"text = '{TOKEN}'"
ROWS, MATCHING = 40, 8
SECTIONS = """
[lake]
root = "{root}"
[sources.mongo]
uri = "mongodb://127.0.0.1:1"
database = "d"
[[dataset]]
name = "events"
source = "mongo"
collection = "events"
"""
_ROLLUP = """-- Events by text
--
-- grain:    one row a text
-- keys:     text
-- measures: events
-- column:   text VARCHAR = text
-- sums:     events
-- rows:     events
SELECT text, count(*) AS events FROM day_rows GROUP BY ALL;
"""


class _Texts(fake_source.FakeSource):
    def _batches(self, day: str, details: dict[str, int]):
        numbers = range(self.rows[day])
        texts = [TOKEN if n % 5 == 0 else f"other {n}" for n in numbers]
        yield pa.record_batch([pa.array(numbers), texts], schema=fake_source.SCHEMA)


def make(folder: Path) -> Settings:
    """A lake with one day and its rollup."""
    (folder / "rollups").mkdir()
    (folder / "rollups/events.sql").write_text(_ROLLUP)
    settings = settings_of(folder)
    exporter(settings, open_store(settings)).export(settings.dataset_named("events"), DAY)
    return settings


def exporter(settings: Settings, store: Store, rows: int = ROWS) -> Exporter:
    """Of a source whose day has that many rows, each fifth with the token."""
    return Exporter(settings, store, {"mongo": _Texts(rows={str(DAY): rows})})


def settings_of(folder: Path) -> Settings:
    config = folder / "lake.toml"
    config.write_text(SECTIONS.format(root=folder / "lake"))
    return load(str(config), {})


def run(settings: Settings, store: Store) -> ErasureResult:
    """In this process."""
    with Planner(settings, store, settings.dataset_named("events"), WHERE) as planner:
        return erase(planner, planner.plan(), "a test")


def start(folder: Path, fault: str = "") -> multiprocessing.Process:
    return started(_run, folder, fault)


def _run(folder: Path, fault: str) -> None:
    if fault:
        os.environ["LAKE_FAULT"] = fault
    settings = settings_of(folder)
    result = run(settings, open_store(settings))
    raise SystemExit(0 if result.ok else 1)
