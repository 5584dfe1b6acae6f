"""Small lakes made by hand: partitions and manifests without a source."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from pathlib import Path

import pyarrow as pa

from lake.base.day import Day
from lake.config.settings import Settings, load
from lake.partition.layout import manifest_key, table_key
from lake.partition.manifest import Manifest, write_manifest
from lake.partition.parquet import write_parquet
from lake.partition.table import TableStream, schema_to_json
from lake.query import Lake, connect
from lake.retired import change_retired
from lake.store import Store, open_store

_DATASET = '[[dataset]]\nname = "{0}"\nsource = "mongo"\ncollection = "{0}"\n'
_LOGS = "container_logs"  # a dataset of this name is one of Loki
_LOGS_DATASET = """
[sources.loki]
url = "http://127.0.0.1:3100"
[[dataset]]
name = "container_logs"
source = "loki"
selector = '{container=~".+"}'
"""
_CONFIG = """
[lake]
root = "{root}"
{s3}
[sources.mongo]
uri = "mongodb://127.0.0.1:1"
timeout_s = 0.5
database = "app"
"""


@dataclass(frozen=True)
class HandMadeLake:
    """A lake whose days the test writes itself."""

    config: Path
    settings: Settings
    store: Store

    def put(
        self,
        dataset: str,
        day: str,
        table: pa.Table,
        *,
        manifest: bool = True,
        left_out: Mapping[str, int] | None = None,
        details: Mapping[str, object] | None = None,
        encodings: Mapping[str, str] | None = None,
        dictionary: tuple[str, ...] = (),
    ) -> str:
        """Writes the object, then its manifest; returns the object's key."""
        parsed_day = Day.parse(day)
        key = table_key(dataset, parsed_day)
        with self.store.upload(key) as upload:
            stream = TableStream(
                table.schema,
                iter(table.to_batches()),
                encodings=encodings or {},
                dictionary=dictionary,
            )
            written = write_parquet(stream, upload)
        if manifest:
            write_manifest(
                self.store,
                Manifest(
                    dataset=dataset,
                    day=day,
                    source="mongo",
                    key=key,
                    rows=written.rows,
                    bytes=written.bytes,
                    sha256=written.sha256,
                    source_count=written.rows,
                    count_method="the test's own",
                    window={
                        "start": parsed_day.start.isoformat(),
                        "end": parsed_day.end.isoformat(),
                    },
                    schema=schema_to_json(table.schema),
                    created_at="2026-11-01T00:00:00+00:00",
                    version="0",
                    details={
                        **({} if left_out is None else {"left_out": dict(left_out)}),
                        **(details or {}),
                    },
                ),
            )
        return key

    def put_copy(self, manifest: Manifest, data: bytes, dataset: str = "") -> None:
        """Writes an object of another lake, then its manifest; `dataset`: under another name."""
        name = dataset or manifest.dataset
        key = table_key(name, Day.parse(manifest.day))
        self.store.write(key, data)
        write_manifest(self.store, replace(manifest, dataset=name, key=key))

    def retire(self, days: Mapping[str, Sequence[Day]]) -> None:
        """Leaves of these days of datasets what retention leaves of their tables: their rollups."""
        change_retired(self.store, days)
        for dataset, retired in days.items():
            for day in retired:
                self.store.delete(manifest_key(dataset, day))
                self.store.delete(table_key(dataset, day))

    def connect(self) -> Lake:
        """A new session."""
        return connect(self.settings)


def hand_made_lake(
    where: Path, *datasets: str, root: str | None = None, s3: str = ""
) -> HandMadeLake:
    """A lake with datasets of those names, in `where` or at another root."""
    where.mkdir(parents=True, exist_ok=True)
    config = where / "lake.toml"
    text = _CONFIG.format(root=root or "lake", s3=s3)
    text += "".join(_DATASET.format(name) for name in datasets if name != _LOGS)
    config.write_text(text + (_LOGS_DATASET if _LOGS in datasets else ""))
    settings = load(str(config), {})
    return HandMadeLake(config, settings, open_store(settings))


def log_lines(at: datetime, lines: list[str]) -> pa.Table:
    """Of one stream without labels, one nanosecond after the other from `at` on."""
    none = pa.array([[]] * len(lines), pa.map_(pa.string(), pa.string()))
    columns = {
        "ts": pa.array([at] * len(lines), pa.timestamp("us", "UTC")),
        "ts_ns": pa.array([int(at.timestamp()) * 10**9 + n for n in range(len(lines))]),
        "stream_id": pa.array([1] * len(lines)),
        "line": pa.array(lines),
        "labels": none,
        "metadata": none,
    }
    return pa.table(columns)
