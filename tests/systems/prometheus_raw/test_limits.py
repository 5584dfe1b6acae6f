"""A real server that bears little: the same day all the same, asked in smaller pieces."""

from __future__ import annotations

from collections.abc import Iterator

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from support.raw_days import DAY, bits
from support.remote_writing import floats, series, write

from lake.base.errors import Refused
from lake.partition.parquet import write_parquet
from lake.servers import start
from lake.systems.prometheus.config import PrometheusDataset, PrometheusSource
from lake.systems.prometheus.reading import PrometheusReader

METRICS, PODS, PATHS = 2, 40, 5
SAMPLES_EACH = 24
STEP_MS = 86_400_000 // SAMPLES_EACH


@pytest.fixture(scope="module")
def served(tmp_path_factory) -> Iterator[object]:
    """Gives the address of a server with these flags; the same data under each."""
    directory = tmp_path_factory.mktemp("limits")
    with start(["prometheus"], directory=directory) as stack:
        url = stack.endpoints["prometheus"]["url"]
        times = [DAY.start_ms + n * STEP_MS for n in range(SAMPLES_EACH)]
        for metric in range(METRICS):
            for pod in range(PODS):
                written = []
                for path in range(PATHS):
                    labels = {"__name__": f"lim_{metric}", "job": "lim", "pod": f"p-{pod}"}
                    if path:
                        labels["path"] = f"/{path}(x|y)"
                    values = [(at, bits(pod * 1000 + path + n / 3)) for n, at in enumerate(times)]
                    written.append(series(labels, floats(values)))
                write(url, *written)
    stacks = []

    def serve(*flags: str) -> str:
        for stack in stacks:
            stack.stop()
        stacks.append(start(["prometheus"], directory=directory, prometheus_flags=flags))
        return stacks[-1].endpoints["prometheus"]["url"]

    yield serve
    for stack in stacks:
        stack.stop()


def exported(url: str, query: str, directory) -> tuple[pa.Table, dict[str, object]]:
    reader = PrometheusReader(PrometheusSource(url=url))
    reader._http._pause = lambda _: None
    chosen = PrometheusDataset(name="t", source="prometheus", query=query, step="30m")
    path = directory / "day.parquet"
    with reader.read(chosen, DAY, directory) as stream, path.open("wb") as file:
        written = write_parquet(stream, file)
    assert reader.count(chosen, DAY).rows == written.rows
    reader.close()
    return pq.ParquetFile(path).read(), stream.details


def test_the_same_day_whatever_the_server_bears(served, tmp_path):
    query = '{job="lim"}'
    whole, easy = exported(served(), query, tmp_path)
    assert whole.num_rows == METRICS * PODS * PATHS * SAMPLES_EACH
    # Less than all series at one time, so that time alone can't help; then a few series.
    for most in (5000, METRICS * PODS * PATHS - 1, 200):
        again, details = exported(served(f"--query.max-samples={most}"), query, tmp_path)
        assert again.equals(whole)
        assert details["requests"] > easy["requests"]


def test_what_no_piece_can_bear_is_said(served, tmp_path):
    with pytest.raises(Refused, match="too many samples"):
        exported(served("--query.max-samples=0"), 'lim_0{pod="p-1"}', tmp_path)
