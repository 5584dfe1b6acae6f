"""Peak memory above idle of a day in range mode: day × 10 ÷ day, and a day of very many series.

Each export runs in a process of its own, which has loaded all code and exported a small day
before; its resident memory is looked at every 10 ms. The series come from a real Prometheus.
`--many` series have three samples each: what is held per series shows there, nothing else does.

    .venv/bin/python bench/memory_prometheus.py [--series N] [--many N]
"""

from __future__ import annotations

import argparse
import io
import json
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import numpy as np
from measuring import in_a_process, machine, report, watched
from prometheus_day import integer_counters, load_day

from lake.base.day import Day
from lake.partition.parquet import write_parquet
from lake.servers import start
from lake.systems.prometheus.config import PrometheusDataset, PrometheusSource
from lake.systems.prometheus.reading import PrometheusReader

DAY = Day.parse("2026-03-14")
FEW_STEPS = 8 * 3_600_000


class Nowhere(io.RawIOBase):
    """An upload that keeps nothing."""

    def write(self, data: object) -> int:
        return memoryview(data).nbytes  # type: ignore[arg-type]


def exported(reader: PrometheusReader, query: str, step: str) -> int:
    dataset = PrometheusDataset(name="bench", source="prometheus", query=query, step=step)
    with (
        tempfile.TemporaryDirectory() as scratch,
        reader.read(dataset, DAY, Path(scratch)) as stream,
    ):
        return write_parquet(stream, Nowhere()).rows


def child(url: str, query: str, step: str) -> None:
    reader = PrometheusReader(PrometheusSource(url=url))
    exported(reader, '{job="small"}', step)
    with watched() as memory:
        rows = exported(reader, query, step)
    print(json.dumps({"rows": rows, "bytes": memory.above_idle, "idle": memory.idle}))


def labels_of_many(many: int) -> list[dict[str, str]]:
    return [
        {"__name__": "many_total", "job": "many", "pod": f"app-{n // 7:06d}-{n % 7}",
         "zone": f"z{n % 3}", "container": f"c{n % 50}", "namespace": "miyou"}
        for n in range(many)
    ]  # fmt: skip


def few_samples(many: int) -> Iterator[np.ndarray]:
    for number in range(many):
        yield np.array([number, number + 1, number + 1.5])


def main() -> None:
    options = argparse.ArgumentParser(description=__doc__)
    options.add_argument("--series", type=int, default=400)
    options.add_argument("--many", type=int, default=1_000_000)
    options.add_argument("--child", nargs=3, default=None)
    chosen = options.parse_args()
    if chosen.child:
        child(*chosen.child)
        return
    with start(["prometheus"]) as stack:
        url = stack.endpoints["prometheus"]["url"]
        for job, series in (("small", 20), ("day", chosen.series), ("ten", 10 * chosen.series)):
            labels = [
                {"__name__": f"mem_{job}_{n % 40}_total", "job": job, "uri": f"/{n:06d}"}
                for n in range(series)
            ]
            load_day(url, DAY, integer_counters(series), labels=labels)
        # The warm-up's series once more, and all of one metric: kept in files before it is written.
        labels = [
            {"__name__": "one_total", "job": "one", "uri": f"/{n}"} for n in range(chosen.series)
        ]
        load_day(url, DAY, integer_counters(chosen.series), labels=labels)
        peaks = {}
        for job in ("day", "ten", "one"):
            measured = in_a_process(Path(__file__).name, "--child", url, f'{{job="{job}"}}', "15s")
            peaks[job] = measured["bytes"]
            print(f"{job}: {measured['rows']:,.0f} rows, {measured['bytes'] / 2**20:.0f} MB above "
                  f"{measured['idle'] / 2**20:.0f} MB", file=sys.stderr)  # fmt: skip
    with start(["prometheus"]) as stack:
        url = stack.endpoints["prometheus"]["url"]
        times = DAY.start_ms + np.arange(3, dtype=np.int64) * FEW_STEPS
        small = [{"__name__": "small", "job": "small"}]
        load_day(url, DAY, few_samples(1), times=times, labels=small)
        every = labels_of_many(chosen.many)
        for begin in range(0, chosen.many, 50_000):
            labels = every[begin : begin + 50_000]
            load_day(url, DAY, few_samples(len(labels)), times=times, labels=labels)
        measured = in_a_process(Path(__file__).name, "--child", url, '{job="many"}', "8h")
        if measured["rows"] != 3 * chosen.many:
            raise SystemExit(f"{measured['rows']:,.0f} rows of {3 * chosen.many:,}")
        print(f"many: {measured['rows']:,.0f} rows, {measured['bytes'] / 2**20:.0f} MB above "
              f"{measured['idle'] / 2**20:.0f} MB", file=sys.stderr)  # fmt: skip
    print(machine())
    largest = max(*peaks.values(), measured["bytes"])
    megabytes = {job: peak / 2**20 for job, peak in peaks.items()}
    report("Range mode: peak memory, a day × 10 ÷ a day", megabytes["ten"], megabytes["day"],
           "MB", target=1.1, at_most=True, peer_name="a day")  # fmt: skip
    report(f"Range mode: peak memory above idle, {chosen.many:,} series included", largest / 2**20,
           256, "MB", target=1, at_most=True, peer_name="256 MB")  # fmt: skip


if __name__ == "__main__":
    main()
