"""A partition's documents again, one line of JSON each.

Belongs here: from the stored object to canonical Extended JSON. Does not: the rule by which a
row becomes a document (systems.mongo), printing.
"""

from __future__ import annotations

import base64
import json
import tempfile
from collections.abc import Iterator
from typing import Any, BinaryIO

import pyarrow as pa
import pyarrow.parquet as pq

from lake.base.day import Day
from lake.base.errors import BadData, Missing, UsageError
from lake.config.datasets import Dataset
from lake.partition.content import fetch
from lake.partition.ledger import read_manifest
from lake.process.scratch import explained_full_disk
from lake.store import Store
from lake.systems.mongo.config import MongoDataset
from lake.systems.mongo.reading import rebuild
from lake.systems.mongo.reading.extended import UnrepresentableError, extended_line

_ROWS = 1024  # at once in memory
_RAW = "$raw"


def documents(store: Store, dataset: Dataset, day: Day) -> Iterator[str]:
    """The documents of a day in the table's order, each as canonical Extended JSON.

    What Extended JSON can't represent is `{"$raw": {"$binary": …}}`: the document's BSON, of
    subtype 00. A document that has a field `$raw` itself is written that way too, so a line
    means that if and only if `$raw` is its only key.

    The object is compared with its manifest before the first document is handed out. Raises
    UsageError (not of MongoDB), Missing, BadData and what the store raises.
    """
    if not isinstance(dataset, MongoDataset):
        raise UsageError(
            f"{dataset.name!r} has no documents",
            expected='a dataset with source = "mongo"',
            found=f'source = "{dataset.source}"',
            remedy="`lake query` reads datasets of every system",
        )
    manifest = read_manifest(store, dataset.name, day)
    if manifest is None:
        raise Missing(
            f"{day} is not in the lake",
            where=f"dataset {dataset.name}",
            remedy=f"lake export {dataset.name} --day {day}",
        )
    with explained_full_disk(), tempfile.TemporaryFile(prefix="lake-") as file:
        fetch(store, manifest, file)
        yield from _lines(file, store.url(manifest.key))


def _lines(file: BinaryIO, where: str) -> Iterator[str]:
    try:
        opened = pq.ParquetFile(file)
        for batch in opened.iter_batches(_ROWS):
            for row in batch.to_pylist():
                yield _line(rebuild(row, opened.schema_arrow))
    except pa.ArrowException as error:
        raise BadData("not a Parquet file of the lake", where=where, found=error) from error


def _line(document: bytes) -> str:
    try:
        fields = extended_line(document)
        if _RAW not in fields:
            return _json(fields)
    except UnrepresentableError:
        pass
    encoded = base64.b64encode(document).decode("ascii")
    return _json({_RAW: {"$binary": {"base64": encoded, "subType": "00"}}})


def _json(fields: dict[str, Any]) -> str:
    return json.dumps(fields, ensure_ascii=False, separators=(",", ":"))
