"""Three real servers with a few days of the demo, exported and with snapshots: once a session.

The servers are the site's own: the names of the demo's database and metrics are not a test's
to choose. Tests that change the lake copy it first (`Site.copy`).
"""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterator, Mapping
from contextlib import closing, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from lake.base.day import Day, day_range
from lake.config.settings import Settings, load
from lake.demo.datasets import demo_datasets
from lake.demo.into_mongo import DATABASE
from lake.demo.load import load as load_servers
from lake.demo.scenario import Scenario
from lake.export import Exporter
from lake.runs import export_many
from lake.servers import start
from lake.snapshot import take_snapshot
from lake.store import Store, open_store

DAYS = 2
DATASETS = ("usage_analytics", "http_server_requests", "container_logs")
SYSTEMS = ("mongo", "prometheus", "loki")
RAW = {
    "name": "raw_samples",
    "source": "prometheus",
    "query": '{__name__=~"llm_.*"}',
    "mode": "raw",
}


@dataclass(frozen=True)
class Site:
    """`config` is its lake.toml; the days [first, end) are exported, snapshots taken on `end`."""

    config: Path
    endpoints: Mapping[str, Mapping[str, str]]
    first: Day
    end: Day

    @property
    def settings(self) -> Settings:
        return load(str(self.config), {})

    @property
    def store(self) -> Store:
        return open_store(self.settings)

    @property
    def last(self) -> Day:
        """The last day that the snapshots hold whole."""
        return self.end.plus(-1)

    def copy(self, to: Path) -> Site:
        """The same servers with a lake of one's own."""
        shutil.copytree(self.config.parent, to)
        return Site(to / "lake.toml", self.endpoints, self.first, self.end)


@contextmanager
def running_site(folder: Path) -> Iterator[Site]:
    """A lake in `folder/lake`, its lake.toml beside it."""
    end = Day.today()
    first = end.plus(-DAYS)
    with start(SYSTEMS) as stack:
        load_servers(stack.endpoints, Scenario(first, DAYS))
        config = folder / "site" / "lake.toml"
        config.parent.mkdir()
        config.write_text(_toml(stack.endpoints, first))
        site = Site(config, stack.endpoints, first, end)
        with closing(Exporter(site.settings)) as exporter:
            pairs = [
                (dataset, day) for dataset in site.settings.dataset for day in day_range(first, end)
            ]
            for result in export_many(exporter, pairs, jobs=4):
                if result.error:
                    raise result.error
        for system in SYSTEMS:
            take_snapshot(site.settings, site.store, system)
        yield site


def _toml(endpoints: Mapping[str, Mapping[str, str]], first: Day) -> str:
    loki = endpoints["loki"]
    sections: list[tuple[str, dict[str, Any]]] = [
        ("[lake]", {"root": "lake", "first_day": str(first)}),
        ("[sources.mongo]", {"uri": endpoints["mongo"]["uri"], "database": DATABASE}),
        ("[sources.prometheus]", {"url": endpoints["prometheus"]["url"]}),
        ("[sources.loki]", {"url": loki["url"]}),
        ("[snapshots.mongo]", {"tool": "native"}),
        ("[snapshots.prometheus]", {"data_dir": endpoints["prometheus"]["data_dir"]}),
        ("[snapshots.loki]", {n: loki[n] for n in ("data_dir", "config_file")}),
        *(("[[dataset]]", dataset) for dataset in demo_datasets() if dataset["name"] in DATASETS),
        ("[[dataset]]", RAW),
    ]
    return "\n".join(
        "\n".join([head, *(f"{key} = {json.dumps(value)}" for key, value in values.items()), ""])
        for head, values in sections
    )
