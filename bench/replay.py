"""How fast `lake replay` brings a day back: samples, lines, documents a second.

Samples both ways: by remote write (ours), and as OpenMetrics text, one file a day, through
`promtool tsdb create-blocks-from openmetrics` (the peer), each from the Parquet object to a
running Prometheus that answers. The peer gets one block a day (`--max-block-duration=24h`);
with its default of 2 h it reads the text twelve times. Both servers then have to give the same
counts and sums. Lines and documents have no peer: their figures stand alone.

    .venv/bin/python bench/replay.py [--series N] [--lines N] [--documents N] [--rounds N]
"""

from __future__ import annotations

import argparse
import subprocess
import tempfile
import time
from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path
from typing import Any

import bson
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import requests
from measuring import best, interleave, machine, report
from prometheus_day import SAMPLES, integer_counters, labels_of, scrape_times

from lake.base.day import Day
from lake.config.settings import LakeSection, Settings, SourcesSection
from lake.partition.layout import table_key
from lake.partition.manifest import Manifest, write_manifest
from lake.partition.parquet import write_parquet
from lake.partition.table import TableStream, schema_to_json
from lake.replay import Partition, replayed
from lake.servers import find, start
from lake.store import Store
from lake.store.directory import DirectoryStore
from lake.systems.labels import labels_id, series_id
from lake.systems.loki.config import LokiDataset
from lake.systems.mongo.config import MongoDataset, MongoSource
from lake.systems.prometheus.config import PrometheusDataset
from lake.systems.prometheus.reading.blocks import (
    ENCODINGS,
    SORTED_BY,
    Block,
    SampleTable,
    label_columns,
)

DAY = Day.parse("2026-03-14")
SAMPLES_OF = PrometheusDataset(name="samples", source="prometheus", query="up", mode="raw")
LINES_OF = LokiDataset(name="lines", source="loki", selector='{container=~".+"}')
DOCUMENTS_OF = MongoDataset(name="documents", source="mongo", collection="documents")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--series", type=int, default=500)
    parser.add_argument("--lines", type=int, default=500_000)
    parser.add_argument("--documents", type=int, default=40_000)
    parser.add_argument("--rounds", type=int, default=3)
    arguments = parser.parse_args()
    tool = find("promtool")
    if tool is None:
        raise SystemExit("no promtool: `lake services install promtool` gets one")
    print(machine())
    with tempfile.TemporaryDirectory(prefix="lake-bench-") as folder:
        work = Path(folder)
        store = DirectoryStore(work / "lake")
        partition = put(store, SAMPLES_OF, sample_table(arguments.series))
        reported: dict[str, Any] = {}
        seconds = interleave(
            {
                "remote write": lambda: reported.update(ours=by_remote_write(store, partition)),
                "promtool": lambda: reported.update(peer=by_promtool(store, partition, tool.path)),
            },
            arguments.rounds,
        )
        assert reported["ours"] == reported["peer"], reported
        samples = arguments.series * SAMPLES
        report(
            f"replay of {samples:,} samples, from Parquet to an answering Prometheus",
            samples / best(seconds["remote write"]),
            samples / best(seconds["promtool"]),
            "samples/s",
            target=1,
            at_most=False,
            peer_name="promtool",
        )
        for dataset, table, unit in (
            (LINES_OF, line_table(arguments.lines), "lines"),
            (DOCUMENTS_OF, document_table(arguments.documents), "documents"),
        ):
            stored = put(store, dataset, table)
            took = [timed(store, stored) for _ in range(arguments.rounds)]
            print(
                f"replay of {stored.manifest.rows:,} {unit}: "
                f"{stored.manifest.rows / best(took):,.0f} {unit}/s"
            )


def by_remote_write(store: Store, partition: Partition) -> list[str]:
    with replayed(settings(), store, [partition]) as result:
        return answers(result.endpoints["prometheus"]["url"])


def by_promtool(store: Store, partition: Partition, tool: Path) -> list[str]:
    with tempfile.TemporaryDirectory(prefix="lake-bench-") as folder:
        data = Path(folder) / "prometheus" / "data"
        text = Path(folder) / "day.txt"
        with text.open("wb") as file:
            for piece in openmetrics(pq.ParquetFile(Path(store.url(partition.manifest.key)))):
                file.write(piece)
        subprocess.run(
            [
                tool,
                "tsdb",
                "create-blocks-from",
                "--max-block-duration=24h",
                "openmetrics",
                text,
                data,
            ],
            check=True,
            capture_output=True,
        )
        text.unlink()
        with start(["prometheus"], Path(folder)) as stack:
            return answers(stack.endpoints["prometheus"]["url"])


def openmetrics(parquet: pq.ParquetFile) -> Iterator[bytes]:
    """Series by series; a time gets half a ms more, for the parser cuts what doubles can't say."""
    fixed = {"ts", "metric", "value", "nan", "series_id", "histogram", "labels"}
    names = [name for name in parquet.schema_arrow.names if name not in fixed]
    for batch in parquet.iter_batches(131_072):
        ids = batch["series_id"].to_numpy()
        starts = np.concatenate([[0], np.flatnonzero(np.diff(ids)) + 1, [len(ids)]]).tolist()
        times = batch["ts"].cast(pa.int64()).to_numpy()
        reported = [f" {ms // 1000}.{ms % 1000:03}5\n" for ms in times.tolist()]
        values = list(map(repr, batch["value"].to_pylist()))
        for first, last in pairwise(starts):
            labels = ",".join(f'{name}="{batch[name][first].as_py()}"' for name in names)
            head = f"{batch['metric'][first].as_py()}{{{labels}}} "
            rows = zip(values[first:last], reported[first:last], strict=True)
            yield "".join(head + value + time for value, time in rows).encode()
    yield b"# EOF\n"


def answers(url: str) -> list[str]:
    """Counts and sums of the day; a set of blocks may take a moment to be there."""
    queries = [f'sum({over}_over_time({{__name__="bench_requests_{n}_total"}}[1d]))'
               for over in ("count", "sum") for n in range(10)]  # fmt: skip
    counts = []
    for query in queries:
        params = {"query": query, "time": f"{DAY.end_ms // 1000 - 1}"}
        answer = requests.get(f"{url}/api/v1/query", params=params, timeout=60).json()
        counts.append(answer["data"]["result"][0]["value"][1])
    return counts


def timed(store: Store, partition: Partition) -> float:
    """Without starting the server."""
    begun = time.perf_counter()
    with start([partition.dataset.source]):
        up = time.perf_counter() - begun
    with replayed(settings(), store, [partition]) as result:
        return result.seconds - up


def settings() -> Settings:
    section = MongoSource(uri="mongodb://127.0.0.1", database="app")
    return Settings(lake=LakeSection(root="lake"), sources=SourcesSection(mongo=section))


def put(store: Store, dataset: Any, stream: TableStream) -> Partition:
    key = table_key(dataset.name, DAY)
    with store.upload(key) as upload:
        written = write_parquet(stream, upload)
    manifest = Manifest(
        dataset=dataset.name, day=str(DAY), source=dataset.source, key=key, rows=written.rows,
        bytes=written.bytes, sha256=written.sha256, source_count=written.rows, count_method="made",
        window={"start": DAY.start.isoformat(), "end": DAY.end.isoformat()},
        schema=schema_to_json(written.schema), created_at=DAY.end.isoformat(), version="0",
        definition=dataset.model_dump(),
    )  # fmt: skip
    write_manifest(store, manifest)
    return Partition(dataset, DAY, manifest)


def sample_table(series: int) -> TableStream:
    labels = [labels_of(number) for number in range(series)]
    ids = np.array([series_id(label, label["__name__"]) for label in labels])
    values = np.array(list(integer_counters(series)))
    order, times = np.argsort(ids), scrape_times(DAY)
    table = SampleTable(label_columns(labels[0]))
    blocks = (
        Block(ids[[n]], [labels[n]], np.array([SAMPLES]), times, values[n]) for n in order.tolist()
    )
    return TableStream(table.schema, table.batches(blocks), SORTED_BY, ENCODINGS, table.dictionary)


def line_table(lines: int, streams: int = 20) -> TableStream:
    """200 bytes a line, two pairs of metadata each."""
    names = sorted((labels_id({"container": f"c{n}"}), f"c{n}") for n in range(streams))
    each = lines // streams
    ts = np.tile(DAY.start_ns + np.arange(each, dtype=np.int64) * (86_400 * 10**9 // each), streams)
    texts = [f"INFO request {n} {'served ' * 24}in {n % 977} ms" for n in range(each)]
    pairs = [[("detected_level", "info"), ("trace_id", f"{n:032x}")] for n in range(each)]
    pair_type = pa.map_(pa.string(), pa.string())
    table = pa.table(
        {
            "ts": pa.array(ts // 1000).cast(pa.timestamp("us", "UTC")),
            "ts_ns": ts,
            "stream_id": np.repeat([number for number, _ in names], each),
            "line": texts * streams,
            "container": np.repeat([name for _, name in names], each),
            "labels": pa.array([[]] * (each * streams), pair_type),
            "metadata": pa.array(pairs * streams, pair_type),
        }
    )
    return TableStream(table.schema, iter(table.to_batches(8192)), dictionary=("container",))


def document_table(documents: int) -> TableStream:
    ids = [str(bson.ObjectId()) for _ in range(documents)]
    at = DAY.start_ms + np.arange(documents, dtype=np.int64) * (86_400_000 // documents)
    n = np.arange(documents)
    sub = pa.StructArray.from_arrays(
        [pa.array(n * 3), pa.array(n / 7), pa.array([f"model-{k % 5}" for k in range(documents)])],
        ["tokens", "cost", "model"],
    )
    table = pa.table(
        {
            "_id": ids,
            "timestamp": pa.array(at).cast(pa.timestamp("ms", "UTC")),
            "userId": [f"user-{k % 977}" for k in range(documents)],
            "latencyMs": n * 11 % 4001,
            "llm": sub,
            "stages": [["asr", "llm", "tts"]] * documents,
            "_rest": pa.nulls(documents, pa.string()),
            "_raw": pa.nulls(documents, pa.binary()),
        }
    )
    field = table.schema.field("_id").with_metadata({"bson": "objectId"})
    table = table.cast(table.schema.set(0, field))
    return TableStream(table.schema, iter(table.to_batches(8192)))


if __name__ == "__main__":
    main()
