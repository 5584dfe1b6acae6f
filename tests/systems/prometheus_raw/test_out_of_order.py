"""A day that came out of order and is in no block yet: Prometheus lists none of its names.

Belongs here: both modes on such a day, against the server's own answers. Does not: other days
(test_raw_exact.py, tests/systems/prometheus).
"""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager

import pyarrow as pa
import pytest
import requests
from support.raw_days import bits
from support.remote_writing import floats, series, write

from lake.base.clock import utc_now
from lake.base.day import Day
from lake.servers import start
from lake.systems.prometheus.config import PrometheusDataset, PrometheusSource
from lake.systems.prometheus.reading import PrometheusReader

pytestmark = pytest.mark.slow

DAY = Day.today().plus(-5)
MINUTE = 60_000
LATE = {"__name__": "late_total", "case": "a", "zone": "z", "cluster": "eu"}
TIMES = [DAY.start_ms + 3_600_000 + number * 15_000 for number in range(200)]


@contextmanager
def with_late_samples(version: str, external: dict[str, str] | None = None) -> Iterator[str]:
    """In order, one series until now, whose older samples are in a block; then the late ones."""
    options = {"prometheus_external_labels": external} if external else {}
    with start([version], prometheus_out_of_order="20d", **options) as stack:
        url = stack.endpoints[version]["url"]
        now_ms = int(utc_now().timestamp() * 1000)
        each = range(now_ms - 6 * 86_400_000, now_ms, 10 * MINUTE)
        write(
            url, series({"__name__": "kept", "case": "k"}, floats((at, bits(1.0)) for at in each))
        )
        for _ in range(300):
            head = requests.get(f"{url}/api/v1/status/tsdb", timeout=5).json()["data"]["headStats"]
            if head["minTime"] > DAY.end_ms:
                break
            time.sleep(0.1)
        assert head["minTime"] > DAY.end_ms
        time.sleep(1)  # or the same compaction puts the late samples into a block
        write(url, series(LATE, floats((at, bits(float(at % 1000))) for at in TIMES)))
        yield url


@pytest.fixture(scope="module")
def url(version: str) -> Iterator[str]:
    with with_late_samples(version) as address:
        yield address


def exported(url: str, tmp_path, query: str, mode: str) -> tuple[list[dict], int]:
    dataset = PrometheusDataset(name="t", source="prometheus", query=query, mode=mode, step="15s")
    reader = PrometheusReader(PrometheusSource(url=url))
    try:
        with reader.read(dataset, DAY, tmp_path) as stream:
            rows = pa.Table.from_batches(list(stream.batches), stream.schema).to_pylist()
        return rows, reader.count(dataset, DAY).rows
    finally:
        reader.close()


def answered(url: str, path: str, **params: object) -> dict[str, list]:
    """The values of each metric as the server itself returns them."""
    answer = requests.get(f"{url}/api/v1/{path}", params, timeout=30).json()
    return {entry["metric"]["__name__"]: entry["values"] for entry in answer["data"]["result"]}


@pytest.mark.parametrize("mode", ["raw", "range"])
@pytest.mark.parametrize("query", ["late_total", '{__name__=~"late_.*|kept"}'])
def test_a_day_out_of_order_is_read_whole(url, tmp_path, query, mode):
    rows, counted = exported(url, tmp_path, query, mode)
    if mode == "raw":
        expected = answered(url, "query", query=f"{query}[1d]", time=DAY.end_ms / 1000 - 0.001)
    else:
        expected = answered(url, "query_range", query=query, start=DAY.start_ms / 1000,
                            end=DAY.end_ms / 1000 - 15, step=15)  # fmt: skip
    by_metric: dict[str, list] = {}
    for row in rows:
        value = [row["ts"].timestamp(), f"{row['value']:g}"]
        by_metric.setdefault(row["metric"], []).append(value)
    assert by_metric == expected
    assert len(by_metric["late_total"]) >= len(TIMES)
    assert counted == len(rows)
    labels = {
        name: row[name]
        for row in rows if row["metric"] == "late_total" for name in LATE if name in row
    }  # fmt: skip
    assert labels == {"case": "a", "zone": "z", "cluster": "eu"}


def test_a_label_of_its_own_that_is_external_too_stays(version, tmp_path):
    """No list has its value, either."""
    with with_late_samples(version, {"cluster": "eu"}) as url:
        rows, counted = exported(url, tmp_path, "late_total", "raw")
    assert {row["cluster"] for row in rows} == {"eu"}
    assert len(rows) == counted == len(TIMES)
