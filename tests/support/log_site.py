"""A lake of lines of one Loki, in a directory, and its replay into another one."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass
from pathlib import Path

from lake.config.settings import Settings, load
from lake.export import Exporter
from lake.replay import Replayed, find_partitions, replayed
from lake.runs import export_many
from lake.servers import Binary, has_version, start
from lake.store import Store, open_store
from support.loki_client import LokiClient
from support.replay_site import DAYS, write_lines

FILE = """
[lake]
root = "lake"
[sources.loki]
url = "{url}"
[hot]
loki = 36500
[[dataset]]
name = "logs"
source = "loki"
selector = '{{app=~".+"}}'
"""


@dataclass(frozen=True)
class LogSite:
    """The source, its two days in the lake."""

    config: Path
    url: str
    program: Binary

    @property
    def settings(self) -> Settings:
        return load(str(self.config), {})

    @property
    def store(self) -> Store:
        return open_store(self.settings)

    @property
    def has_metadata(self) -> bool:
        return has_version(self.program, "3")

    @contextmanager
    def replay(self) -> Iterator[Replayed]:
        """Into a server that nobody writes to any more."""
        chosen = self.settings.datasets_named(["logs"])
        partitions = find_partitions(self.store, chosen, DAYS, allow_missing=False)
        with replayed(self.settings, self.store, partitions) as result:
            yield result


@contextmanager
def running_log_site(folder: Path, program: Binary) -> Iterator[LogSite]:
    with start(["loki"], programs={"loki": program}) as stack:
        url = stack.endpoints["loki"]["url"]
        write_lines(LokiClient(url))
        config = folder / "lake.toml"
        config.write_text(FILE.format(url=url))
        site = LogSite(config, url, program)
        with closing(Exporter(site.settings)) as exporter:
            pairs = [(dataset, day) for dataset in site.settings.dataset for day in DAYS]
            for result in export_many(exporter, pairs, jobs=2):
                if result.error:
                    raise result.error
        yield site
