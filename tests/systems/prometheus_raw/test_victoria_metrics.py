"""Days of a real VictoriaMetrics, where one is on PATH: its samples, and its own answers."""

from __future__ import annotations

import json
import math
import shutil
import subprocess
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest
import requests
from support.raw_days import bits, expected_row, read_day, rows_by
from support.waiting import wait_until

from lake.base.day import Day
from lake.servers.ports import LOOPBACK, free_ports
from lake.servers.recipe import answers
from lake.systems.prometheus.config import PrometheusDataset, PrometheusSource
from lake.systems.prometheus.discovery import look
from lake.systems.prometheus.reading import PrometheusReader

DAY = Day.today().plus(-1)
METRIC = "http_server_requests_seconds_count"
QUERY = f'{{__name__="{METRIC}"}}'


def samples_of(pod: str) -> list[tuple[int, float]]:
    """Beyond both ends of the day, at odd milliseconds, with a gap; a counter that restarts."""
    step = 15_000 + int(pod)
    times = range(DAY.start_ms - 3 * step, DAY.end_ms, step)
    return [(at, n % 1000 / 4) for n, at in enumerate(times) if not 5e6 < at % 2e7 < 7e6]


@pytest.fixture(scope="module")
def url(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    program = shutil.which("victoria-metrics")
    if program is None:
        pytest.skip("no victoria-metrics on PATH: Debian's package victoria-metrics has one")
    address = f"{LOOPBACK}:{free_ports(['http'])['http']}"
    data = tmp_path_factory.mktemp("victoria-metrics")
    flags = [f"-httpListenAddr={address}", f"-storageDataPath={data}", "-retentionPeriod=100y"]
    server = subprocess.Popen([program, *flags], stderr=subprocess.DEVNULL)
    try:
        wait_until(lambda: answers(f"http://{address}/health"))
        for pod in "12":
            times, values = zip(*samples_of(pod), strict=True)
            labels = {"__name__": METRIC, "job": "t", "pod": pod}
            line = json.dumps({"metric": labels, "values": values, "timestamps": times})
            requests.post(f"http://{address}/api/v1/import", line, timeout=60).raise_for_status()
        requests.get(f"http://{address}/internal/force_flush", timeout=60).raise_for_status()
        yield f"http://{address}"
    finally:
        server.terminate()
        server.wait(timeout=30)


@pytest.fixture
def export(url: str, tmp_path: Path) -> Iterator[Callable[..., pa.Table]]:
    with closing(PrometheusReader(PrometheusSource(url=url))) as reader:

        def run(**options: Any) -> pa.Table:
            chosen = PrometheusDataset(name="t", source="prometheus", query=QUERY, **options)
            return read_day(reader, chosen, DAY, tmp_path)[0]

        yield run


def test_raw_mode_has_the_samples_that_were_written(export: Callable[..., pa.Table]) -> None:
    expected = {
        pod: [
            expected_row(at, bits(value))
            for at, value in samples_of(pod)
            if DAY.start_ms <= at < DAY.end_ms
        ]
        for pod in "12"
    }
    assert all(len(rows) > 5000 for rows in expected.values())
    assert rows_by(export(mode="raw"), "pod") == expected


def test_range_mode_is_its_own_answer(export: Callable[..., pa.Table], url: str) -> None:
    begin, step = DAY.start_ms // 1000, 60
    params = {"query": METRIC, "start": begin, "end": begin + 86_400 - step, "step": step}
    answer = requests.get(f"{url}/api/v1/query_range", params, timeout=60).json()
    expected = {
        entry["metric"]["pod"]: [
            expected_row(round(at * 1000), bits(float(value))) for at, value in entry["values"]
        ]
        for entry in answer["data"]["result"]
    }
    assert math.isclose(len(expected["1"]), 1300, abs_tol=140)
    assert rows_by(export(step="60s"), "pod") == expected


def test_its_first_day_is_that_of_its_samples(url: str) -> None:
    """It answers the names of any time for a range of more than 40 days."""
    assert look(PrometheusSource(url=url), {"url": url}).oldest == DAY.plus(-1)
