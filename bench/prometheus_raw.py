"""A day of stored samples to Parquet (mode raw, remote read) against `promtool tsdb dump`.

Ours: the samples of a running server, typed, sorted, in one Parquet object on disk, with its
fingerprint and hash. The peer: the same samples out of a block on disk, as text to /dev/null.
Checked before: as many rows as the block has samples, and one metric's values and times equal.
Printed beside: how long the read alone takes, to Arrow batches; the source's own count; the
peak of memory, of a process of its own, the loading of compiled code included.

    .venv/bin/python bench/prometheus_raw.py [--series 1000] [--rounds 5] [--server prometheus]
"""

from __future__ import annotations

import argparse
import json
import statistics
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
from measuring import best, in_a_process, interleave, machine, report, watched
from prometheus_block import dump, dumped, promtool, snapshot
from prometheus_day import integer_counters, load_day

from lake.base.day import Day
from lake.partition.parquet import write_parquet
from lake.servers import start
from lake.systems.prometheus.config import PrometheusDataset, PrometheusSource
from lake.systems.prometheus.reading import PrometheusReader

DAY = Day.parse("2026-09-14")
DATASET = PrometheusDataset(name="bench", source="prometheus", query='{job="miyou"}', mode="raw")
ONE_METRIC = "bench_requests_3_total"


def export(url: str, path: Path, *, only_read: bool = False) -> int:
    """The day into a file, or to Arrow batches and no further; how many rows."""
    reader = PrometheusReader(PrometheusSource(url=url))
    with (
        tempfile.TemporaryDirectory() as scratch,
        reader.read(DATASET, DAY, Path(scratch)) as stream,
        path.open("wb") as file,
    ):
        if only_read:
            rows = sum(batch.num_rows for batch in stream.batches)
        else:
            rows = write_parquet(stream, file).rows
    reader.close()
    return rows


def once(url: str) -> None:
    """One export in this process, the first of which loads the compiled code."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "day.parquet"
        with watched() as peak:
            rows = export(url, path)
    print(json.dumps({"rows": rows, "above_idle": peak.above_idle}))


def check(tool: str, block: object, path: Path) -> None:
    """Raises AssertionError unless one metric's samples are the same on both sides."""
    theirs = dumped(tool, block, f'{{__name__="{ONE_METRIC}"}}')
    table = pq.read_table(path, columns=["ts", "metric", "value"],
                          filters=[("metric", "=", ONE_METRIC)])  # fmt: skip
    ours = np.empty(table.num_rows, "i8,f8")
    ours["f0"] = table["ts"].cast("int64").to_numpy()
    ours["f1"] = table["value"].to_numpy()
    assert np.array_equal(np.sort(ours), theirs)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--series", type=int, default=1000)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--server", default="prometheus")
    parser.add_argument("--once", help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.once:
        once(options.once)
        return
    tool = promtool()
    with tempfile.TemporaryDirectory() as folder, start([options.server]) as stack:
        endpoint = stack.endpoints[options.server]
        samples = load_day(endpoint["url"], DAY, integer_counters(options.series))
        block = snapshot(endpoint)
        path = Path(folder) / "day.parquet"
        assert export(endpoint["url"], path) == block.samples == samples
        check(tool, block, path)
        seconds = interleave(
            {
                "ours": lambda: export(endpoint["url"], path),
                "read": lambda: export(endpoint["url"], path, only_read=True),
                "promtool": lambda: dump(tool, block),
            },
            options.rounds,
        )
        counted = timed(lambda: PrometheusReader(PrometheusSource(url=endpoint["url"])).count(
            DATASET, DAY))  # fmt: skip
        peak = in_a_process(Path(__file__).name, "--once", endpoint["url"])["above_idle"]
    print(machine())
    rate = {name: samples / best(times) for name, times in seconds.items()}
    print(f"{samples:,} samples; {path.name}: {statistics.median(seconds['ours']):.2f} s; "
          f"counting them at the source: {counted:.2f} s; peak {peak / 1e6:.0f} MB")  # fmt: skip
    print(f"the read alone, to Arrow batches: {rate['read']:,.0f} samples/s, "
          f"{rate['read'] / rate['promtool']:.1f} × promtool")  # fmt: skip
    report(
        "Prometheus day, raw mode, to Parquet", rate["ours"], rate["promtool"], "samples/s",
        target=50, at_most=False, peer_name="promtool dump",
    )  # fmt: skip


def timed(run: Callable[[], object]) -> float:
    begun = time.perf_counter()
    run()
    return time.perf_counter() - begun


if __name__ == "__main__":
    sys.exit(main())
