"""Prometheus servers, 2.42 and, where it is installed, 3.16, that take samples of any order."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from support.raw_days import DAY, dataset

from lake.partition.parquet import write_parquet
from lake.servers import find, start
from lake.systems.prometheus.config import PrometheusSource
from lake.systems.prometheus.reading import PrometheusReader


def shortly(seconds: float) -> None:
    """Before the next attempt. Without any pause a busy server gets all attempts at once."""
    time.sleep(min(seconds, 0.5))


Exported = tuple[pa.Table, dict[str, object]]


@pytest.fixture(scope="session", params=["prometheus", "prometheus3"])
def version(request: pytest.FixtureRequest) -> str:
    """A server's name."""
    if request.param != "prometheus" and find(request.param) is None:
        pytest.skip(f"{request.param} is not installed: lake services install {request.param}")
    return request.param


@pytest.fixture(scope="session")
def raw_url(version: str) -> Iterator[str]:
    """A server for all of the tests: samples may be 20 days older than its newest.

    Without a compaction, after which it would list no names of what came out of order before that:
    its samples are not of the present (test_out_of_order.py).
    """
    flags = ("--storage.tsdb.min-block-duration=20d",)
    with start([version], prometheus_out_of_order="20d", prometheus_flags=flags) as stack:
        yield stack.endpoints[version]["url"]


@pytest.fixture(scope="session")
def in_order_url(version: str) -> Iterator[str]:
    """One that takes samples in their order only (2.42: histograms come so, or not at all)."""
    with start([version]) as stack:
        yield stack.endpoints[version]["url"]


@pytest.fixture
def export(tmp_path: Path) -> Iterator[Callable[..., Exported]]:
    """Exports a query's day into Parquet, checks the count, gives the table and the details."""
    readers = []

    def run(url: str, query: str, day=DAY) -> Exported:
        reader = PrometheusReader(PrometheusSource(url=url))
        reader._http._pause = shortly
        readers.append(reader)
        scratch, path = tmp_path / f"scratch{len(readers)}", tmp_path / f"{len(readers)}.parquet"
        scratch.mkdir()
        with reader.read(dataset(query), day, scratch) as stream, path.open("wb") as file:
            written = write_parquet(stream, file)
        assert reader.count(dataset(query), day).rows == written.rows
        return pq.ParquetFile(path).read(), stream.details

    yield run
    for reader in readers:
        reader.close()
