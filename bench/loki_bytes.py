"""Bytes of a day of Loki's lines in Parquet, against Loki's own chunks of them (gzip).

The line is a plain VARCHAR column that any SQL can search, beside two columns of time, the
labels and the structured metadata. The lines are the demo's: every request has a random id in
its lines and another one in the metadata, at random nanoseconds, which nothing shrinks: what
these alone take is reported.
"""

from __future__ import annotations

import argparse
import tempfile
from pathlib import Path

import pyarrow.parquet as pq
from loki_day import DATASET, DAY, busy_loki
from loki_speed import export
from measuring import machine, report

from lake.partition.layout import table_key


def main() -> None:
    """Prints the ratio, and each column's share."""
    options = argparse.ArgumentParser(description=__doc__)
    options.add_argument("--lines", type=int, default=300_000)
    arguments = options.parse_args()
    with busy_loki(arguments.lines) as loki, tempfile.TemporaryDirectory() as folder:
        print(f"{machine()}; {loki.lines:,} lines, {loki.text_bytes / 2**20:.0f} MiB of text")
        rows = export(loki, Path(folder))
        assert rows == loki.lines, f"{rows} rows of {loki.lines} lines"
        file = Path(folder) / table_key(DATASET.name, DAY)
        ours, chunks = file.stat().st_size, loki.chunk_bytes
        shares: dict[str, int] = {}
        footer = pq.ParquetFile(file).metadata
        for group in range(footer.num_row_groups):
            for number in range(footer.num_columns):
                column = footer.row_group(group).column(number)
                name = column.path_in_schema
                shares[name] = shares.get(name, 0) + column.total_compressed_size
    for name, size in sorted(shares.items(), key=lambda item: -item[1])[:5]:
        print(f"  {name:<28} {size / rows:6.2f} bytes a line")
    report(
        "Loki day in Parquet ÷ Loki's chunks", ours / rows, chunks / rows, "bytes a line",
        target=0.55, at_most=True, peer_name="chunks, gzip",
    )  # fmt: skip


if __name__ == "__main__":
    main()
