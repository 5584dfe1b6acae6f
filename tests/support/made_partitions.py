"""Partitions made by hand, in a directory."""

from __future__ import annotations

from collections.abc import Mapping

import pyarrow as pa

from lake.base.day import Day
from lake.config.datasets import Dataset
from lake.config.settings import LakeSection, Settings, SourcesSection
from lake.partition.layout import table_key
from lake.partition.manifest import Manifest, write_manifest
from lake.partition.parquet import write_parquet
from lake.partition.table import TableStream, schema_to_json
from lake.replay import Partition
from lake.store import Store
from lake.systems.loki.config import LokiDataset
from lake.systems.mongo.config import MongoSource

PAIRS = pa.map_(pa.string(), pa.string())
LINES = LokiDataset(name="lines", source="loki", selector='{a=~".+"}')
SETTINGS = Settings(
    lake=LakeSection(root="lake"),
    sources=SourcesSection(mongo=MongoSource(uri="mongodb://127.0.0.1", database="app")),
)


def put(
    store: Store,
    dataset: Dataset,
    day: Day,
    table: pa.Table,
    details: Mapping[str, object] | None = None,
) -> Partition:
    key = table_key(dataset.name, day)
    with store.upload(key) as upload:
        written = write_parquet(TableStream(table.schema, iter(table.to_batches())), upload)
    manifest = Manifest(
        dataset=dataset.name, day=str(day), source=dataset.source, key=key, rows=written.rows,
        bytes=written.bytes, sha256=written.sha256, source_count=written.rows, count_method="made",
        window={}, schema=schema_to_json(table.schema), created_at="2026-11-01T00:00:00+00:00",
        version="0", definition=dataset.model_dump(), details=dict(details or {}),
    )  # fmt: skip
    write_manifest(store, manifest)
    return Partition(dataset, day, manifest)
