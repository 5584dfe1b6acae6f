"""A Prometheus that takes old samples, and lakes of its metrics."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import pyarrow as pa
import pytest
import requests
from support.command_line import lake
from support.rolled_lake import Place
from support.series_writing import Series, write_request

from lake.servers import start

__all__ = ["lake"]  # for pytest


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
