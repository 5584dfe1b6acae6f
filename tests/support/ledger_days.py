"""A lake whose days are in every state, made by hand, with `[hot]` as a test needs it.

Belongs here: making it. Does not: claims.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from pathlib import Path

import pyarrow as pa

from lake.base.day import Day
from lake.config.settings import Settings, load
from lake.partition.ledger import read_manifest
from lake.partition.manifest import write_manifest
from lake.store import Store, open_store
from support.made_partitions import put

TODAY = Day.today()
_TABLE = pa.table({"text": ["a", "b", "c"]})
_FILE = """
[lake]
root = "lake"
first_day = "{first}"
[hot]
mongo = 40
prometheus = 3
loki = {loki}
[sources.mongo]
uri = "mongodb://127.0.0.1:1"
database = "d"
[sources.prometheus]
url = "http://127.0.0.1:1"
[sources.loki]
url = "http://127.0.0.1:1"
{late}
[[dataset]]
name = "events"
source = "mongo"
collection = "events"
[[dataset]]
name = "requests"
source = "prometheus"
query = "up"
[[dataset]]
name = "lines"
source = "loki"
selector = '{{a=~".+"}}'
{more}
"""


def ago(days: int) -> Day:
    return TODAY.plus(-days)


def lake(
    folder: Path, first: Day, more: str = "", *, loki: int = 5, late: str = ""
) -> tuple[Path, Settings, Store]:
    """`loki` are the days that it keeps, `late` another line of its section."""
    file = folder / "lake.toml"
    file.write_text(_FILE.format(first=first, more=more, loki=loki, late=late))
    settings = load(str(file), {})
    return file, settings, open_store(settings)


def export(store: Store, settings: Settings, name: str, days: Sequence[Day]) -> None:
    for day in days:
        put(store, settings.dataset_named(name), day, _TABLE)


def recounted(store: Store, name: str, day: Day, source_count: int) -> None:
    """The manifest says that the source had counted otherwise."""
    manifest = read_manifest(store, name, day)
    assert manifest is not None
    write_manifest(store, dataclasses.replace(manifest, source_count=source_count))
