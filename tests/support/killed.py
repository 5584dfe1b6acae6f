"""Exports in processes of their own, which tests kill, stop and let race.

Imported by the processes, too, which are forked from a server that has everything loaded.
"""

from __future__ import annotations

import hashlib
import json
import multiprocessing
import os
import random
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import pyarrow as pa

from lake.base.day import Day
from lake.config.settings import Settings, load
from lake.export import Exporter
from lake.store import open_store, s3_upload
from support.fake_source import SCHEMA, FakeSource
from support.forked import started

DAY = Day.parse("2026-07-05")
KEY = f"tables/events/day={DAY}/data.parquet"
MANIFEST = f"manifests/events/{DAY}.json"
PART = 5 << 20
_FILE = """
[lake]
root = "{root}"
[s3]
endpoint_url = "{endpoint_url}"
region = "us-east-1"
[sources.mongo]
uri = "mongodb://127.0.0.1:1"
database = "d"
[[dataset]]
name = "events"
source = "mongo"
collection = "events"
"""


@dataclass
class NoisySource(FakeSource):
    """Rows that do not compress: 8 kB each, the same every time."""

    seed: int = 0

    def _batches(self, day: str, details: dict[str, int]) -> Iterator[pa.RecordBatch]:
        chance = random.Random(self.seed)
        for start in range(0, self.rows.get(day, 0), self.batch_rows):
            ids = range(start, min(self.rows[day], start + self.batch_rows))
            texts = [chance.randbytes(8000).hex() for _ in ids]
            yield pa.record_batch([pa.array(ids), texts], schema=SCHEMA)


@dataclass(frozen=True)
class Run:
    """One `export --force` of DAY, with the given rows, in a process of its own."""

    root: str
    endpoint_url: str
    rows: int
    force: bool = True
    environment: dict[str, str] = field(default_factory=dict)

    def settings(self, folder: Path) -> Settings:
        config = folder / f"{os.getpid()}.toml"
        config.write_text(_FILE.format(root=self.root, endpoint_url=self.endpoint_url))
        return load(str(config), {})

    def exporter(self, folder: Path) -> Exporter:
        settings = self.settings(folder)
        source = NoisySource(rows={str(DAY): self.rows}, seed=self.rows)
        return Exporter(settings, open_store(settings), {"mongo": source})

    def start(self, folder: Path, fault: str = "") -> multiprocessing.Process:
        return started(_export, self, folder, fault, environment=self.environment)

    def export(self, folder: Path) -> str:
        """In this process; returns the outcome's state."""
        exporter = self.exporter(folder)
        dataset = exporter.settings.dataset_named("events")
        return exporter.export(dataset, DAY, force=self.force).state


def _export(run: Run, folder: Path, fault: str) -> None:
    if fault:
        os.environ["LAKE_FAULT"] = fault
    s3_upload.PART_BYTES = PART
    run.export(folder)


@dataclass(frozen=True)
class Plain:
    """A partition as anybody sees it who reads the two objects: no code of ours."""

    manifest: dict | None
    sha256: str | None

    @classmethod
    def of(cls, store) -> Plain:
        objects = {stat.key: stat for stat in store.list("")}
        manifest = json.loads(store.read(MANIFEST)) if MANIFEST in objects else None
        data = store.read(KEY) if KEY in objects else None
        return cls(manifest, hashlib.sha256(data).hexdigest() if data is not None else None)

    @property
    def agrees(self) -> bool:
        return (self.manifest["sha256"] if self.manifest else None) == self.sha256
