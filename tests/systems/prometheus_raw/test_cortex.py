"""Days of two tenants of a real Cortex: read with the tenant's header, as from Prometheus."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest
import requests
from support.raw_days import bits, expected_row, read_day, rows_by
from support.remote_writing import HEADERS, floats, series

from lake.base.day import Day
from lake.base.errors import LakeError
from lake.servers import find, start
from lake.systems.prometheus.config import PrometheusDataset, PrometheusSource
from lake.systems.prometheus.reading import PrometheusReader

DAY = Day.today().plus(-1)
METRIC = "cortex_day"
QUERY = f'{{__name__="{METRIC}"}}'
TENANTS = ("team-a", "team-b")
ODD = [math.nan, math.inf, -math.inf, -0.0, 5e-324, 0.1 + 0.2, 1e300]


def samples_of(tenant: str, pod: str) -> list[tuple[int, float]]:
    """Beyond both ends of the day, odd values, a gap; other ones for each tenant and series."""
    step = {"team-a": 15_000, "team-b": 47_003}[tenant] + int(pod)
    times = range(DAY.start_ms - 3 * step, DAY.end_ms + 3 * step, step)
    return [
        (at, ODD[n % 7] if n % 50 == 0 else n / 3)
        for n, at in enumerate(times)
        if not 5e6 < at % 2e7 < 7e6
    ]


def push(url: str, tenant: str, *parts: bytes) -> None:
    body = pa.compress(b"".join(parts), codec="snappy", asbytes=True)
    headers = {**HEADERS, "X-Scope-OrgID": tenant}
    answer = requests.post(url, data=body, headers=headers, timeout=60)
    assert answer.ok, answer.text


@pytest.fixture(scope="module")
def cortex_url() -> Iterator[str]:
    if find("cortex") is None:  # in CI too: it takes minutes to build
        pytest.skip("no usable cortex here: `lake services install cortex` gets one")
    with start(["cortex"]) as running:
        endpoint = running.endpoints["cortex"]
        for tenant in TENANTS:
            for pod in "12":
                labels = {"__name__": METRIC, "job": "t", "pod": pod}
                sent = samples_of(tenant, pod)
                for at in range(0, len(sent), 2000):
                    part = floats((ms, bits(value)) for ms, value in sent[at : at + 2000])
                    push(endpoint["push_url"], tenant, series(labels, part))
        yield endpoint["url"]


@pytest.fixture
def export(cortex_url: str, tmp_path: Path) -> Iterator[Callable[..., pa.Table]]:
    readers: list[PrometheusReader] = []

    def run(tenant: str, **options: Any) -> pa.Table:
        reader = PrometheusReader(PrometheusSource(url=cortex_url, tenant=tenant))
        readers.append(reader)
        chosen = PrometheusDataset(name="t", source="prometheus", query=QUERY, **options)
        table, details = read_day(reader, chosen, DAY, tmp_path)
        if options.get("mode") == "raw":
            assert details["read_by"] == "remote read, samples (-0 comes as 0)"
        return table

    yield run
    for reader in readers:
        reader.close()


@pytest.mark.parametrize("tenant", TENANTS)
def test_raw_mode_has_the_samples_that_this_tenant_wrote(export, tenant: str):
    expected = {
        pod: [
            expected_row(at, bits(value or 0.0))  # its remote read has no chunks: −0 comes as 0
            for at, value in samples_of(tenant, pod)
            if DAY.start_ms <= at < DAY.end_ms
        ]
        for pod in "12"
    }
    assert all(len(rows) > 1500 for rows in expected.values())
    assert rows_by(export(tenant, mode="raw"), "pod") == expected


@pytest.mark.parametrize("tenant", TENANTS)
def test_range_mode_is_cortexs_own_answer(export, cortex_url: str, tenant: str):
    begin, step = DAY.start_ms // 1000, 60
    params = {"query": METRIC, "start": begin, "end": begin + 86_400 - step, "step": step}
    answer = requests.get(f"{cortex_url}/api/v1/query_range", params,
                          headers={"X-Scope-OrgID": tenant}, timeout=60).json()  # fmt: skip
    expected = {
        entry["metric"]["pod"]: [
            expected_row(round(at * 1000), bits(float(value))) for at, value in entry["values"]
        ]
        for entry in answer["data"]["result"]
    }
    assert set(expected) == {"1", "2"}
    assert rows_by(export(tenant, step="60s"), "pod") == expected


def test_another_tenant_has_nothing_and_none_is_an_error(export):
    assert export("team-c", mode="raw").num_rows == 0
    with pytest.raises(LakeError) as refused:
        export("", mode="raw")
    assert "tenant" in str(refused.value) or "org id" in str(refused.value)
