"""A lake in a directory or on S3, of real sources or of tables made by hand."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import closing
from pathlib import Path

from lake.base.day import Day
from lake.config.settings import Settings, load
from lake.export import Exporter, Outcome
from lake.store import Store, open_store

COLLECTION = """
[sources.mongo]
uri = "mongodb://127.0.0.1:1"
database = "d"
[[dataset]]
name = "calls"
source = "mongo"
collection = "calls"
"""
"""The dataset calls of a server that nobody connects to."""


class Place:
    """A lake in a directory."""

    def __init__(self, folder: Path, sections: str, root: str = "lake") -> None:
        self.config = folder / "lake.toml"
        self.config.write_text(f'[lake]\nroot = "{root}"\n{sections}')
        self.folder = folder
        self.settings: Settings = load(str(self.config), {})
        self.store: Store = open_store(self.settings)

    def export(self, name: str, day: Day, **options: bool) -> Outcome:
        with closing(Exporter(self.settings)) as exporter:
            return exporter.export(self.settings.dataset_named(name), day, **options)


def samples_lake(
    folder: Path, url: str, name: str, query: str, keys: str = 'mode = "raw"'
) -> Place:
    """A dataset of samples, of stored ones where `keys` do not name another mode."""
    return Place(
        folder,
        f"""
[sources.prometheus]
url = "{url}"
[hot]
prometheus = 10000
[[dataset]]
name = "{name}"
source = "prometheus"
query = '{query}'
{keys}
""",
    )


def exported_samples(folder: Path, url: str, name: str, query: str, days: Sequence[Day]) -> Place:
    """A dataset of stored samples, its days and their rollups."""
    place = samples_lake(folder, url, name, query)
    for day in days:
        assert place.export(name, day).rollup.state == "made"
    return place
