"""Writes quarter_data as a lake, by the project's own tables and writer, without any server.

    .venv/bin/python bench/quarter_lake.py FOLDER [--days 90] [--series 300]
        [--lines 10000000] [--documents 1000000] [--targets 0] [--names metrics,logs,docs]

FOLDER/lake.toml is its configuration. The layout is that of an export: types, order, encodings.
`--targets` is the number of targets that have a histogram of latency besides.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

from quarter_data import Counters, Size, documents, lines, streams

from lake.base.day import Day
from lake.config.datasets import Dataset
from lake.config.settings import Settings, load
from lake.partition.layout import table_key
from lake.partition.manifest import Manifest, write_manifest
from lake.partition.parquet import write_parquet
from lake.partition.table import TableStream, schema_to_json
from lake.store import Store, open_store
from lake.systems.loki.reading.table import partition
from lake.systems.mongo.reading.table import DayTable
from lake.systems.prometheus.reading.blocks import (
    ENCODINGS,
    SORTED_BY,
    SampleTable,
    label_columns,
)

_CONFIG = """[lake]
root = "{root}"
first_day = {first}
[sources.prometheus]
url = "http://127.0.0.1:9090"
[sources.loki]
url = "http://127.0.0.1:3100"
[sources.mongo]
uri = "mongodb://127.0.0.1:27017"
database = "miyou"
[[dataset]]
name = "{metrics}"
source = "prometheus"
query = '{{__name__=~"http_server_requests_.*"}}'
mode = "raw"
[[dataset]]
name = "{logs}"
source = "loki"
selector = '{{container=~".+"}}'
[[dataset]]
name = "{docs}"
source = "mongo"
collection = "usage_analytics"
"""
FIRST = Day.parse("2026-07-01")
NAMES = ("http_server_requests", "container_logs", "usage_analytics")


def write_lake(folder: Path, size: Size, names: tuple[str, ...] = NAMES) -> Settings:
    """The lake's settings; a table of which the size has no row is left out."""
    folder.mkdir(parents=True, exist_ok=True)
    config = folder / "lake.toml"
    metrics, logs, docs = names
    config.write_text(
        _CONFIG.format(root="lake", first=size.first, metrics=metrics, logs=logs, docs=docs)
    )
    settings = load(str(config), {})
    store = open_store(settings)
    counters = Counters(size.series, size.targets)
    for number, day in size.each_day():
        if size.series:
            table = SampleTable(label_columns(counters.names))
            samples = table.batches(counters.blocks(number, day))
            stream = TableStream(table.schema, samples, SORTED_BY, ENCODINGS, table.dictionary)
            put(store, settings.dataset_named(metrics), day, stream)
        if size.lines:
            rows = partition(lines(size, number, day), streams(), {})
            put(store, settings.dataset_named(logs), day, rows)
        if size.documents:
            _put_documents(store, settings.dataset_named(docs), size, number, day)
    return settings


def _put_documents(store: Store, dataset: Dataset, size: Size, number: int, day: Day) -> None:
    import bson  # noqa: PLC0415

    with (
        tempfile.TemporaryDirectory() as scratch,
        DayTable(dataset, day, Path(scratch)) as table,  # type: ignore[arg-type]
    ):
        table.add(b"".join(bson.encode(document) for document in documents(size, number, day)))
        put(store, dataset, day, table.stream())


def put(store: Store, dataset: Dataset, day: Day, stream: TableStream) -> None:
    """Object and manifest of one partition."""
    key = table_key(dataset.name, day)
    with store.upload(key) as upload:
        written = write_parquet(stream, upload)
    write_manifest(
        store,
        Manifest(
            dataset=dataset.name, day=str(day), source=dataset.source, key=key, rows=written.rows,
            bytes=written.bytes, sha256=written.sha256, source_count=written.rows,
            count_method="made by the benchmark",
            window={"start": day.start.isoformat(), "end": day.end.isoformat()},
            schema=schema_to_json(written.schema), created_at="2026-11-01T00:00:00+00:00",
            version="0", definition=dataset.model_dump(), details=dict(stream.details),
        ),
    )  # fmt: skip


def timed(run: Callable[[], object]) -> float:
    """Seconds."""
    begun = time.perf_counter()
    run()
    return time.perf_counter() - begun


def main() -> None:
    """Writes the lake."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("folder", type=Path)
    for name, default in (
        ("days", 90), ("series", 300), ("lines", 10**7), ("documents", 10**6), ("targets", 0),
    ):  # fmt: skip
        parser.add_argument(f"--{name}", type=int, default=default)
    parser.add_argument("--names", default=",".join(NAMES), help="metrics,logs,documents")
    chosen = parser.parse_args()
    size = Size(FIRST, chosen.days, chosen.series, chosen.lines, chosen.documents, chosen.targets)
    names = tuple(chosen.names.split(","))
    seconds = timed(lambda: write_lake(chosen.folder, size, names))
    print(f"{chosen.folder}/lake.toml in {seconds:.1f} s", file=sys.stderr)


if __name__ == "__main__":
    main()
