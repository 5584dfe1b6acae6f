"""Lies in a lake: a partition rewritten whole, with a manifest that bears it out."""

from __future__ import annotations

import io
from collections.abc import Callable
from dataclasses import replace

import pyarrow as pa
import pyarrow.parquet as pq

from lake.base.day import Day
from lake.partition.fingerprint import Fingerprint
from lake.partition.ledger import read_manifest
from lake.partition.manifest import Manifest, write_manifest
from lake.partition.parquet import write_parquet
from lake.partition.table import TableStream
from lake.store import Store


def rewrite(
    store: Store, dataset: str, day: Day, change: Callable[[pa.Table], pa.Table], **fields: object
) -> Manifest:
    """The partition's rows as `change` returns them; `fields` of the manifest are replaced, too."""
    manifest = read_manifest(store, dataset, day)
    assert manifest is not None
    table = change(pq.read_table(io.BytesIO(store.read(manifest.key))))
    seen = Fingerprint()
    with store.upload(manifest.key) as upload:
        stream = TableStream(table.schema, seen.watching(iter(table.to_batches())))
        written = write_parquet(stream, upload)
    changed = replace(
        manifest,
        rows=written.rows,
        bytes=written.bytes,
        sha256=written.sha256,
        fingerprint=str(seen),
        **fields,
    )
    write_manifest(store, changed)
    return changed


def with_value(table: pa.Table, column: str, row: int, value: object) -> pa.Table:
    """The table with one value changed."""
    values = table[column].to_pylist()
    values[row] = value
    index = table.schema.get_field_index(column)
    field = table.schema.field(index)
    return table.set_column(index, field, pa.array(values, field.type))
