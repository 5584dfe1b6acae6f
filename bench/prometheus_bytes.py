"""Bytes a sample, bit-exact: a day's Parquet object (mode raw) against a Prometheus block.

Two cases, each in a fresh server: integer counters (each of its own speed, up to 25 a scrape on
average, some reset), and what the demo's service exposes. The block is the server's snapshot,
chunks and index; ours the objects of the same days, all columns and footers. Checked before:
as many rows as the blocks have samples, and promtool's dump of one metric equal to the lake's.
Beside it, what other ways to write the `value` column would weigh, and their CPU.

    .venv/bin/python bench/prometheus_bytes.py [--series 500] [--days 3] [--server prometheus]
"""

from __future__ import annotations

import argparse
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from measuring import machine, report
from prometheus_block import dumped, promtool, snapshot
from prometheus_day import integer_counters, load_day

from lake.base.day import Day, day_range
from lake.demo.into_prometheus import load_samples
from lake.demo.scenario import Scenario
from lake.partition.parquet import write_parquet
from lake.servers import start
from lake.systems.prometheus.config import PrometheusDataset, PrometheusSource
from lake.systems.prometheus.reading import PrometheusReader

DAY = Day.parse("2026-09-14")
DATASET = PrometheusDataset(name="bench", source="prometheus", query='{__name__!=""}', mode="raw")
WAYS: list[tuple[str, str, int]] = [
    ("BYTE_STREAM_SPLIT", "zstd", 3), ("BYTE_STREAM_SPLIT", "zstd", 9),
    ("BYTE_STREAM_SPLIT", "zstd", 15), ("BYTE_STREAM_SPLIT", "brotli", 5),
    ("PLAIN", "zstd", 3), ("PLAIN", "zstd", 9), ("PLAIN", "zstd", 15),
    ("RLE_DICTIONARY", "zstd", 3), ("DELTA_BINARY_PACKED, as integers", "zstd", 3),
]  # fmt: skip


def export(url: str, days: Sequence[Day], folder: Path) -> list[Path]:
    """One object a day."""
    reader, paths = PrometheusReader(PrometheusSource(url=url)), []
    for day in days:
        paths.append(folder / f"{day}.parquet")
        with (
            tempfile.TemporaryDirectory() as scratch,
            reader.read(DATASET, day, Path(scratch)) as stream,
            paths[-1].open("wb") as file,
        ):
            write_parquet(stream, file)
    reader.close()
    return paths


def check(paths: Sequence[Path], theirs: np.ndarray, metric: str) -> None:
    """Raises AssertionError unless the metric's samples are those of the block."""
    tables = [pq.read_table(path, columns=["ts", "value"], filters=[("metric", "=", metric)])
             for path in paths]  # fmt: skip
    table = pa.concat_tables(tables)
    ours = np.empty(table.num_rows, "i8,f8")
    ours["f0"] = table["ts"].cast("int64").to_numpy()
    ours["f1"] = table["value"].to_numpy()
    assert np.array_equal(np.sort(ours), theirs), metric


def tell_columns(paths: Sequence[Path], rows: int) -> None:
    """What each column weighs, compressed, and in which encodings."""
    sizes: dict[str, int] = {}
    encodings: set[str] = set()
    for path in paths:
        footer = pq.ParquetFile(path).metadata
        for group in range(footer.num_row_groups):
            for at in range(footer.num_columns):
                column = footer.row_group(group).column(at)
                name = column.path_in_schema.partition(".")[0]
                sizes[name] = sizes.get(name, 0) + column.total_compressed_size
                if name == "value":
                    encodings |= set(column.encodings) - {"RLE"}
    reported = ", ".join(f"{name} {size / rows:.3f}" for name, size in sizes.items())
    print(f"  ours by column, B: {reported}; value as {', '.join(sorted(encodings))}")


def tell_other_ways(paths: Sequence[Path]) -> None:
    """The value column alone, written in other ways."""
    values = pa.concat_tables([pq.read_table(path, columns=["value"]) for path in paths])
    for encoding, codec, level in WAYS:
        table, options = values, {"column_encoding": {"value": encoding}, "use_dictionary": False}
        if encoding == "RLE_DICTIONARY":
            options = {"use_dictionary": ["value"]}
        elif encoding.endswith("integers"):
            whole = values["value"].to_numpy()
            if not np.array_equal(whole.astype(np.int64).astype(np.float64), whole):
                print(f"  {encoding}: not all of them are")
                continue
            table = pa.table({"value": whole.astype(np.int64)})
            options["column_encoding"] = {"value": "DELTA_BINARY_PACKED"}
        sink, begun = pa.BufferOutputStream(), time.process_time()
        with pq.ParquetWriter(
            sink, table.schema, version="2.6", compression=codec, compression_level=level, **options
        ) as writer:
            writer.write_table(table, row_group_size=131_072)
        spent = (time.process_time() - begun) / len(table) * 1e9
        size = len(sink.getvalue()) / len(table)
        print(f"  value {encoding}, {codec} {level}: {size:.3f} B, {spent:.0f} ns a sample")


def measure(
    title: str, url: str, endpoint: dict[str, str], days: Sequence[Day], metric: str, target: float
) -> None:
    tool, block = promtool(), snapshot(endpoint)
    with tempfile.TemporaryDirectory() as folder:
        paths = export(url, days, Path(folder))
        rows = sum(pq.ParquetFile(path).metadata.num_rows for path in paths)
        assert rows == block.samples, (rows, block.samples)
        check(paths, dumped(tool, block, f'{{__name__="{metric}"}}'), metric)
        ours = sum(path.stat().st_size for path in paths)
        print(f"{rows:,} samples")
        tell_columns(paths, rows)
        tell_other_ways(paths)
    report(
        title, ours / rows, block.bytes / rows, "B/sample",
        target=target, at_most=True, peer_name="block",
    )  # fmt: skip


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--series", type=int, default=500)
    parser.add_argument("--days", type=int, default=3, help="of the demo's history")
    parser.add_argument("--server", default="prometheus")
    options = parser.parse_args()
    print(machine())
    with start([options.server]) as stack:
        endpoint = stack.endpoints[options.server]
        load_day(endpoint["url"], DAY, integer_counters(options.series))
        measure("bytes a sample, integer counters", endpoint["url"], endpoint, [DAY],
                "bench_requests_3_total", 0.35)  # fmt: skip
    with start([options.server]) as stack:
        endpoint = stack.endpoints[options.server]
        scenario = Scenario(DAY, options.days)
        load_samples(endpoint["url"], scenario, lambda: None)
        days = list(day_range(scenario.first, scenario.end))
        measure("bytes a sample, the demo's mix", endpoint["url"], endpoint, days,
                "http_server_requests_seconds_count", 0.7)  # fmt: skip


if __name__ == "__main__":
    sys.exit(main())
