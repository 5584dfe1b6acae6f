"""A lake of three datasets with a source in memory that has 40 days of 3 rows, on a day that stays.

Belongs here: making it. Does not: claims.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from lake.base.day import Day, day_range
from lake.config.settings import Settings, load
from lake.export import Exporter
from lake.store import Store, open_store
from support.fake_source import FakeSource

FIRST, LAST = Day.parse("2026-06-01"), Day.parse("2026-07-11")
FILE = """
[lake]
root = "{root}"
{s3}
[sources.mongo]
uri = "mongodb://127.0.0.1:1"
database = "d"
[sources.loki]
url = "http://127.0.0.1:1"
[hot]
mongo = 60
[[dataset]]
name = "events"
source = "mongo"
collection = "events"
[[dataset]]
name = "users"
source = "mongo"
collection = "users"
[[dataset]]
name = "lines"
source = "loki"
selector = '{{a=~".+"}}'
"""


@dataclass
class Place:
    """A lake and its source, a fake with 3 rows a day."""

    config: Path
    settings: Settings
    store: Store
    source: FakeSource
    exporter: Exporter

    def export(self, day: str, dataset: str = "events", **options):
        return self.exporter.export(self.settings.dataset_named(dataset), Day.parse(day), **options)

    def keys(self, day: str = "") -> list[str]:
        return [stat.key for stat in self.store.list("") if day in stat.key]


def made(folder: Path, root: str = "lake", s3: str = "") -> Place:
    config = folder / "lake.toml"
    config.write_text(FILE.format(root=root, s3=s3))
    settings, source = load(str(config), {}), FakeSource()
    source.rows = {str(day): 3 for day in day_range(FIRST, LAST)}
    store = open_store(settings)
    return Place(config, settings, store, source, Exporter(settings, store, {"mongo": source}))
