"""A day in range mode to Parquet ÷ downloading the same responses to nowhere.

1,000 series × 5,760 steps (15 s) from a real Prometheus on this machine. Ours: planning,
asking, parsing, sorting and Parquet, written to memory. The peer: the very requests that ours
made, by as many connections at a time, each body read and dropped. Before that the table is
held against the server's own answers, read by the json module, bit by bit.

    .venv/bin/python bench/prometheus_range.py [--series N] [--metrics N] [--rounds N] [--apart]

`--apart`: the server on the first core, we (and the peer) on the second, as if it were another
machine; otherwise all share all cores, and what we compute is taken from the server.
"""

from __future__ import annotations

import argparse
import io
import json
import os
import tempfile
import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import requests
from measuring import best, interleave, machine, report
from prometheus_day import STEP_MS, integer_counters, load_day

from lake.base.day import Day
from lake.http.client import Http
from lake.partition.parquet import write_parquet
from lake.servers import start
from lake.systems.prometheus.config import PrometheusDataset, PrometheusSource
from lake.systems.prometheus.reading import PrometheusReader

DAY = Day.parse("2026-03-14")
QUERY = '{job="miyou"}'


class Recorded:
    """Every request that the reader makes, as the peer will repeat it."""

    def __init__(self) -> None:
        self.requests: list[tuple[str, str, dict[str, Any]]] = []
        self._once = Http._once

    def __enter__(self) -> Recorded:
        recorded, once = self.requests, self._once

        def recording(self: Http, method: str, path: str, headers: Any, most: Any, payload: Any,
                      *rest: Any) -> Any:  # fmt: skip
            recorded.append((method, path, dict(payload)))
            return once(self, method, path, headers, most, payload, *rest)

        Http._once = recording  # type: ignore[method-assign]
        return self

    def __exit__(self, *_: object) -> None:
        Http._once = self._once  # type: ignore[method-assign]


def exported(reader: PrometheusReader, out: io.BytesIO) -> int:
    dataset = PrometheusDataset(name="bench", source="prometheus", query=QUERY)
    with (
        tempfile.TemporaryDirectory() as scratch,
        reader.read(dataset, DAY, Path(scratch)) as stream,
    ):
        return write_parquet(stream, out).rows


def dropped(url: str, requested: list[tuple[str, str, dict[str, Any]]], parallel: int) -> int:
    """Bytes of all bodies."""
    local, sizes = threading.local(), []

    def fetch(request: tuple[str, str, dict[str, Any]]) -> None:
        method, path, payload = request
        if not hasattr(local, "session"):
            local.session = requests.Session()
        headers = {"Accept-Encoding": "identity"}
        with local.session.request(
            method, url + path, headers=headers, stream=True, **payload
        ) as response:
            sizes.append(sum(len(piece) for piece in response.iter_content(1 << 18)))

    with ThreadPoolExecutor(parallel) as pool:
        list(pool.map(fetch, requested))
    return sum(sizes)


def check(url: str, table: pa.Table) -> None:
    """Exits unless every series has the values of its own range query, bit by bit."""
    ids = table["series_id"].to_numpy()
    edges = np.flatnonzero(np.diff(ids, prepend=ids[0] - 1))
    values, at_ms = table["value"].to_numpy(), table["ts"].cast(pa.int64()).to_numpy()
    uris, metrics = table["uri"], table["metric"]
    for begin, end in zip(edges.tolist(), [*edges[1:].tolist(), len(ids)], strict=True):
        if begin % 7 and len(edges) > 200:
            continue  # a seventh of them
        query = f'{metrics[begin].as_py()}{{uri="{uris[begin].as_py()}"}}'
        params = {"query": query, "start": DAY.start_ms / 1000, "step": STEP_MS / 1000,
                  "end": DAY.end_ms / 1000 - STEP_MS / 1000}  # fmt: skip
        (series,) = json.loads(
            requests.get(f"{url}/api/v1/query_range", params, timeout=60).content
        )["data"]["result"]
        reported = np.array([float(value) for _, value in series["values"]])
        times = np.array([round(at * 1000) for at, _ in series["values"]])
        if not (
            np.array_equal(reported, values[begin:end]) and np.array_equal(times, at_ms[begin:end])
        ):
            raise SystemExit(f"not the same data: {query}")


def main() -> None:
    options = argparse.ArgumentParser(description=__doc__)
    options.add_argument("--series", type=int, default=1000)
    options.add_argument("--metrics", type=int, default=40)
    options.add_argument("--rounds", type=int, default=5)
    options.add_argument("--apart", action="store_true")
    chosen = options.parse_args()
    with start(["prometheus"]) as stack:
        url = stack.endpoints["prometheus"]["url"]
        load_day(url, DAY, integer_counters(chosen.series), metrics=chosen.metrics)
        if chosen.apart:
            for task in Path(f"/proc/{stack['prometheus'].pid}/task").iterdir():
                os.sched_setaffinity(int(task.name), {0})
            os.sched_setaffinity(0, {1})
        source = PrometheusSource(url=url)
        reader = PrometheusReader(source)
        out = io.BytesIO()
        with Recorded() as recorded:
            rows = exported(reader, out)
        check(url, pq.read_table(io.BytesIO(out.getvalue())))
        size = dropped(url, recorded.requests, source.max_parallel)
        print(f"{machine()}: {rows:,} samples, {len(recorded.requests)} requests, {size:,} bytes")
        seconds = interleave(
            {
                "ours": lambda: exported(reader, io.BytesIO()),
                "to nowhere": lambda: dropped(url, recorded.requests, source.max_parallel),
            },
            chosen.rounds,
        )
        reader.close()
    where = "server on another core" if chosen.apart else "all on the same cores"
    report(
        f"Prometheus day, range mode, to Parquet: wall ({where})",
        best(seconds["ours"]),
        best(seconds["to nowhere"]),
        "s",
        target=1.15,
        at_most=True,
        peer_name="to nowhere",
    )


if __name__ == "__main__":
    main()
