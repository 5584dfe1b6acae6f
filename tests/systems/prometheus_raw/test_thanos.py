"""A day through a real Thanos Query: two Prometheus with a sidecar each, one of which goes away."""

from __future__ import annotations

import math
import os
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest
import requests
from support.raw_days import bits, read_day
from support.remote_writing import floats, series, write
from support.waiting import wait_until

from lake.base.day import Day
from lake.base.errors import LakeError, TransientError
from lake.servers import start
from lake.servers.ports import free_ports
from lake.servers.process import Process
from lake.systems.prometheus.config import PrometheusDataset, PrometheusSource
from lake.systems.prometheus.reading import PrometheusReader

pytestmark = pytest.mark.slow

DAY = Day.today().plus(-1)
PREFIX = "/thanos"
METRIC = "thanos_day"
ODD = [math.nan, math.inf, -math.inf, -0.0, 5e-324, 0.1 + 0.2, 1e300]


@dataclass
class Thanos:
    """`direct` and `sidecars` by the cluster; `run` starts a sidecar again."""

    url: str
    direct: dict[str, str]
    sidecars: dict[str, Process]
    run: Callable[[str], Process]

    @property
    def known(self) -> list[dict[str, Any]]:
        by_type = requests.get(f"{self.url}/api/v1/stores", timeout=10).json()["data"]
        return [store for stores in by_type.values() for store in stores or ()]

    @property
    def whole(self) -> bool:
        return len(self.known) == 2 and not any(store["lastError"] for store in self.known)


def samples_of(cluster: str) -> list[tuple[int, float]]:
    """Odd values and a gap; the clusters' series differ."""
    step = {"a": 30_000, "b": 47_003}[cluster]
    times = [at for at in range(DAY.start_ms, DAY.end_ms, step) if not 5e6 < at % 2e7 < 7e6]
    return [(at, ODD[n % 7] if n % 50 == 0 else n / 3) for n, at in enumerate(times)]


def answers(url: str) -> bool:
    try:
        return requests.get(url, timeout=2).ok
    except requests.RequestException:
        return False


@pytest.fixture(scope="module")
def thanos(thanos_program: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Thanos]:
    home = tmp_path_factory.mktemp("thanos")
    ports = free_ports(["a", "b", "a-http", "b-http", "query", "query-grpc"])
    started: list[Process] = []

    def run(name: str, *arguments: str) -> Process:
        command = [str(thanos_program), *arguments]
        process = Process(command, home=home, log=home / f"{name}.log", environment=os.environ,
                          grace_s=5, throw_away=False)  # fmt: skip
        started.append(process)
        return process

    def sidecar(cluster: str) -> Process:
        return run(cluster, "sidecar", f"--prometheus.url={direct[cluster]}",
                   f"--tsdb.path={home}", f"--grpc-address=127.0.0.1:{ports[cluster]}",
                   f"--http-address=127.0.0.1:{ports[f'{cluster}-http']}")  # fmt: skip

    stacks = {
        cluster: start(["prometheus3"], prometheus_external_labels={"cluster": cluster, "r": "0"})
        for cluster in "ab"
    }
    direct = {
        cluster: started.endpoints["prometheus3"]["url"] for cluster, started in stacks.items()
    }
    try:
        for cluster, url in direct.items():
            labels = {"__name__": METRIC, "job": "t", f"Only{cluster}": "x"}
            sent = floats((at, bits(value)) for at, value in samples_of(cluster))
            write(url, series(labels, sent), series({**labels, "pod": "1"}, sent))
        url = f"http://127.0.0.1:{ports['query']}{PREFIX}"
        query = ["query", f"--http-address=127.0.0.1:{ports['query']}",
                 f"--grpc-address=127.0.0.1:{ports['query-grpc']}",
                 f"--web.route-prefix={PREFIX}", "--query.replica-label=r",
                 *(f"--endpoint=127.0.0.1:{ports[cluster]}" for cluster in "ab")]  # fmt: skip
        running = Thanos(url, direct, {cluster: sidecar(cluster) for cluster in "ab"}, sidecar)
        run("query", *query)
        wait_until(lambda: answers(f"{url}/api/v1/stores") and running.whole)
        yield running
    finally:
        for process in started:
            process.kill()
        for stack in stacks.values():
            stack.stop()


@pytest.fixture
def export(thanos: Thanos, tmp_path: Path) -> Iterator[Callable[..., pa.Table]]:
    reader = PrometheusReader(PrometheusSource(url=thanos.url))
    reader._http._pause = lambda _: None

    def run(query: str, **options: Any) -> pa.Table:
        chosen = PrometheusDataset(name="t", source="prometheus", query=query, **options)
        table, details = read_day(reader, chosen, DAY, tmp_path)
        assert details["stores"] == 2
        return table

    yield run
    reader.close()


def exported(table: pa.Table) -> list[tuple[Any, ...]]:
    rows = table.drop_columns("ts").to_pylist()
    at_ms = table["ts"].cast(pa.int64()).to_pylist()
    return sorted(
        (row["cluster"], row["pod"] or "", dict(row["labels"]), at,
         row["nan"] or repr(row["value"]))
        for row, at in zip(rows, at_ms, strict=True)
    )  # fmt: skip


def answered_directly(thanos: Thanos, step: int) -> list[tuple[Any, ...]]:
    begin = DAY.start_ms // 1000
    rows = []
    for cluster, url in thanos.direct.items():
        params = {"query": METRIC, "start": begin, "end": begin + 86_400 - step, "step": step}
        for entry in requests.get(f"{url}/api/v1/query_range", params, timeout=60).json()["data"][
            "result"
        ]:
            for at, value in entry["values"]:
                number = float(value)
                text = "nan" if math.isnan(number) else repr(number)
                pod = entry["metric"].get("pod", "")
                rows.append((cluster, pod, {f"Only{cluster}": "x"}, round(at * 1000), text))
    return sorted(rows)


def test_range_mode_has_both_servers_samples(thanos, export):
    expected = answered_directly(thanos, 60)
    assert exported(export(f'{{__name__="{METRIC}"}}', step="60s")) == expected
    only_b = [row for row in expected if row[0] == "b"]
    assert exported(export(f'{METRIC}{{cluster="b"}}', step="60s")) == only_b


def test_raw_mode_has_the_stored_samples(export):
    expected = sorted(
        (cluster, pod, {f"Only{cluster}": "x"}, at,
         "nan" if math.isnan(value) else repr(value))
        for cluster in "ab" for pod in ("", "1") for at, value in samples_of(cluster)
    )  # fmt: skip
    assert exported(export(f'{{__name__="{METRIC}"}}', mode="raw")) == expected


def test_a_store_that_goes_away_is_a_failure_loud_or_silent(thanos, export):
    query = f'{{__name__="{METRIC}"}}'
    params = {"query": f"count({METRIC})", "time": DAY.end_ms / 1000 - 1,
              "partial_response": "false"}  # fmt: skip

    def status_and_answer() -> tuple[int, dict[str, Any]]:
        answer = requests.get(f"{thanos.url}/api/v1/query", params, timeout=30)
        return answer.status_code, answer.json()

    thanos.sidecars["b"].kill()
    try:
        for mode in ("range", "raw"):
            with pytest.raises(LakeError):
                export(query, mode=mode, step="60s")
        # In a while Thanos answers without the store, and says nothing of it.
        wait_until(lambda: status_and_answer()[0] == 200)
        _, answer = status_and_answer()
        assert [sample["value"][1] for sample in answer["data"]["result"]] == ["2"]
        assert not answer.get("warnings")
        for mode in ("range", "raw"):
            with pytest.raises(TransientError, match="store of Thanos"):
                export(query, mode=mode, step="60s")
    finally:
        thanos.sidecars["b"] = thanos.run("b")
    wait_until(lambda: thanos.whole and status_and_answer()[0] == 200)
    assert exported(export(query, step="60s")) == answered_directly(thanos, 60)
