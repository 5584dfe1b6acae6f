"""A Prometheus that takes old samples, and lakes of its metrics."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path

import pyarrow as pa
import pytest
import requests
from support.command_line import runner
from support.series_writing import Series, write_request

from lake.base.day import Day
from lake.config.settings import Settings, load
from lake.export import Exporter, Outcome
from lake.servers import start
from lake.store import Store, open_store


class Place:
    """A lake in a directory."""

    def __init__(self, folder: Path, sections: str) -> None:
        self.config = folder / "lake.toml"
        self.config.write_text(f'[lake]\nroot = "lake"\n{sections}')
        self.folder = folder
        self.settings: Settings = load(str(self.config), {})
        self.store: Store = open_store(self.settings)

    def export(self, name: str, day: Day, **options: bool) -> Outcome:
        with closing(Exporter(self.settings)) as exporter:
            return exporter.export(self.settings.dataset_named(name), day, **options)


@pytest.fixture(scope="session")
def prometheus_url() -> Iterator[str]:
    with start(["prometheus"], prometheus_out_of_order="10000d") as stack:
        yield stack.endpoints["prometheus"]["url"]


@pytest.fixture
def push(prometheus_url: str) -> Callable[[list[Series]], None]:
    def pushed(series: list[Series]) -> None:
        body = pa.Codec("snappy").compress(write_request(series), asbytes=True)
        headers = {"Content-Encoding": "snappy", "Content-Type": "application/x-protobuf"}
        answer = requests.post(f"{prometheus_url}/api/v1/write", body, headers=headers, timeout=30)
        answer.raise_for_status()

    return pushed


@pytest.fixture
def metrics(tmp_path: Path, prometheus_url: str) -> Callable[[str], Place]:
    """A lake with the datasets `stored` (raw) and `stepped` (range) of a metric."""

    def made(metric: str) -> Place:
        return Place(
            tmp_path,
            f"""
[sources.prometheus]
url = "{prometheus_url}"
[hot]
prometheus = 10000
[[dataset]]
name = "stored"
source = "prometheus"
query = "{metric}"
mode = "raw"
[[dataset]]
name = "stepped"
source = "prometheus"
query = "{metric}"
step = "15s"
""",
        )

    return made


@pytest.fixture
def lake(monkeypatch, capsys):
    """Runs the command line: exit status, standard output, standard error."""
    with runner(monkeypatch, capsys) as run:
        yield run
