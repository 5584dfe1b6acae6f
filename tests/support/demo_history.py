"""The demo's history as partitions, without servers: what an export of it looks like.

A run makes each window once; lakes of it hold copies.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from lake.base.day import Day
from lake.demo.dialogue import Request, requests_of
from lake.demo.documents import documents_of
from lake.demo.logs import lines_of
from lake.demo.metrics import MetricsDay, metrics_of
from lake.demo.scenario import Scenario
from lake.partition.ledger import read_manifest
from lake.partition.manifest import Manifest
from lake.store.directory import DirectoryStore
from lake.systems.prometheus.reading.answer import HISTOGRAM_TYPE
from support.hand_made import HandMadeLake, hand_made_lake
from support.made_once import made_once

DATASETS = (
    "usage_analytics",
    "performance_metrics",
    "metrics_rollups",
    "stage_performance_rollups",
    "http_server_requests",
    "dialogue_metrics",
    "container_logs",
)
METRICS = {  # with the first parts of their metrics' names
    "http_server_requests": ("http_",),
    "dialogue_metrics": ("dialogue_", "llm_", "tts_"),
}
_LABELS = (
    "application", "exception", "instance", "le", "method", "model", "outcome", "stage", "status",
    "type", "uri",
)  # fmt: skip
_MAP = pa.map_(pa.string(), pa.string())


@dataclass(frozen=True)
class History:
    """The demo's first days in a lake, and the requests that they tell of."""

    lake: HandMadeLake
    scenario: Scenario

    @property
    def range(self) -> tuple[Day, Day]:
        return self.scenario.first, self.scenario.end

    def requests(self) -> Iterator[tuple[Day, Request]]:
        for day in self.scenario.each_day():
            for request in requests_of(self.scenario, day):
                yield day, request


@dataclass(frozen=True)
class Partition:
    """As it lies in a lake: the object, and the manifest that describes it."""

    manifest: Manifest
    data: bytes

    def table(self) -> pa.Table:
        return pq.read_table(pa.BufferReader(self.data))


@cache
def week_of_history(folder: Path) -> History:
    """Seven days in a lake below the folder, made once a test session."""
    lake = hand_made_lake(folder / "week_of_history", *DATASETS)
    scenario = Scenario(Day.parse("2026-07-01"), 7)
    for partition in partitions_of(scenario):
        lake.put_copy(partition.manifest, partition.data)
    return History(lake, scenario)


def partitions_of(scenario: Scenario, datasets: Collection[str] = DATASETS) -> Iterator[Partition]:
    """Those of the datasets, day by day."""
    chosen = "" if datasets is DATASETS else "_" + "_".join(datasets)
    name = f"history_{scenario.first}_{scenario.days}_{scenario.seed}_{scenario.scale}{chosen}"
    place = made_once(name, lambda place: _write(place, scenario, datasets))
    store = DirectoryStore(place / "lake")
    for day in scenario.each_day():
        for dataset in datasets:
            manifest = read_manifest(store, dataset, day)
            assert manifest
            yield Partition(manifest, store.read(manifest.key))


def _write(place: Path, scenario: Scenario, datasets: Collection[str]) -> None:
    lake = hand_made_lake(place, *datasets)
    for day, tables in _tables(scenario, datasets):
        for name, table in tables.items():
            if name in datasets:
                lake.put(name, str(day), table)


def _tables(
    scenario: Scenario, datasets: Collection[str]
) -> Iterator[tuple[Day, dict[str, pa.Table]]]:
    """What each day has; metrics and logs only where the datasets have any."""
    metrics_by_day = metrics_of(scenario) if not set(METRICS).isdisjoint(datasets) else None
    for day in scenario.each_day():
        requests = requests_of(scenario, day)
        documents = documents_of(requests)
        tables = {name: _documents(of_collection) for name, of_collection in documents.items()}
        if metrics_by_day:
            metrics = next(metrics_by_day)
            tables |= {name: _samples(metrics, *prefixes) for name, prefixes in METRICS.items()}
        if "container_logs" in datasets:
            lines = list(_lines(scenario, day, requests))
            tables["container_logs"] = pa.Table.from_pylist(lines, _LOGS)
        yield day, tables


def _documents(documents: list[dict]) -> pa.Table:
    names = dict.fromkeys(name for document in documents for name in document)
    columns = {name: pa.array([d.get(name) for d in documents]) for name in names if name != "_id"}
    ids = pa.array([str(document["_id"]) for document in documents])
    return pa.table({"_id": ids, **columns, "_rest": pa.nulls(len(documents), pa.string())})


def _samples(metrics: MetricsDay, *prefixes: str) -> pa.Table:
    """Millisecond times, doubles, one column a label."""
    chosen = [series for series in metrics.series if series.name.startswith(prefixes)]
    count = len(metrics.scrapes)
    times = pa.array(np.tile(np.array(metrics.scrapes), len(chosen)), pa.timestamp("ms", "UTC"))
    values = [value for series in chosen for value in series.values(count)]

    def repeated(column: list[object], kind: pa.DataType) -> pa.Array:
        return pa.array(column, kind).take(pa.array(np.repeat(np.arange(len(chosen)), count)))

    labels = [_labels(series.labels) for series in chosen]
    return pa.table(
        {
            "ts": times,
            "metric": repeated([series.name for series in chosen], pa.string()),
            "value": pa.array(values, pa.float64()),
            "nan": pa.nulls(len(values), pa.string()),
            "series_id": repeated(list(range(len(chosen))), pa.int64()),
            "histogram": pa.nulls(len(values), HISTOGRAM_TYPE),
            **{
                name: repeated([label_set.get(name) for label_set in labels], pa.string())
                for name in _LABELS
            },
            "labels": pa.array([[]] * len(values), _MAP),
        }
    )


def _labels(text: str) -> dict[str, str]:
    pairs = text.strip("{}").split(",")
    return {name: value.strip('"') for name, _, value in (pair.partition("=") for pair in pairs)}


_LOGS = pa.schema(
    [
        ("ts", pa.timestamp("us", "UTC")),
        ("ts_ns", pa.int64()),
        ("stream_id", pa.int64()),
        ("line", pa.string()),
        ("container", pa.string()),
        ("level", pa.string()),
        ("service", pa.string()),
        ("labels", _MAP),
        ("metadata", _MAP),
    ]
)


def _lines(scenario: Scenario, day: Day, requests: list) -> Iterator[dict[str, object]]:
    for number, (stream, lines) in enumerate(lines_of(scenario, day, requests).items()):
        for line in lines:
            yield {
                "ts": line.ts_ns // 1000,
                "ts_ns": line.ts_ns,
                "stream_id": number,
                "line": line.text,
                **stream.labels,
                "labels": [],
                "metadata": [*line.metadata.items(), ("detected_level", stream.level)],
            }
