"""Which partitions are replayed, and their rows, proven against the manifests.

Belongs here: days without a manifest, the object's SHA-256, reading it batch by batch.
Does not: what a row means to a server.
"""

from __future__ import annotations

import tempfile
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import pyarrow as pa
import pyarrow.parquet as pq

from lake.base.day import Day
from lake.base.errors import BadData, Missing
from lake.config.datasets import Dataset
from lake.partition.batches import batches_in
from lake.partition.content import altered, fetch, gone
from lake.partition.ledger import read_ledger
from lake.partition.manifest import Manifest
from lake.process.scratch import explained_full_disk
from lake.store import Store
from lake.store.several import of_each

# In a manifest's details.
SERVER_VERSION = "server_version"
SERVER_APPLICATION = "server_application"
_SHOWN_DAYS = 10


@dataclass(frozen=True)
class Partition:
    """A dataset's day that is in the lake."""

    dataset: Dataset
    day: Day
    manifest: Manifest


def find_partitions(
    store: Store, datasets: Sequence[Dataset], days: Sequence[Day], *, allow_missing: bool
) -> list[Partition]:
    """The partitions of these days (one or more, ascending), by day, then by dataset.

    Raises Missing for days without a manifest, or with `allow_missing` where there is none
    at all, and for an object that is gone; BadData for a manifest that can't be read and for
    an object of another size; what the store raises.
    """
    partitions: list[Partition] = []
    missing: dict[str, list[Day]] = {}
    for dataset in datasets:
        ledger = read_ledger(store, dataset.name, days[0], days[-1].plus(1))
        for day in days:
            manifest = ledger.get(day)
            if isinstance(manifest, BadData):
                raise manifest
            if manifest is None:
                missing.setdefault(dataset.name, []).append(day)
            else:
                partitions.append(Partition(dataset, day, manifest))
    if missing and not (allow_missing and partitions):
        raise Missing(
            "days that are not in the lake",
            where=store.url(""),
            found="; ".join(f"{name}: {_listed(those)}" for name, those in missing.items()),
            remedy="`lake export` them, or replay the others with --allow-missing",
        )
    _require_objects(store, [partition.manifest for partition in partitions])
    order = {dataset.name: number for number, dataset in enumerate(datasets)}
    return sorted(partitions, key=lambda partition: (partition.day, order[partition.dataset.name]))


def _require_objects(store: Store, manifests: Sequence[Manifest]) -> None:
    """Before any server is started: what is seen without reading them."""
    stats = of_each(store, store.stat, [manifest.key for manifest in manifests])
    for manifest, stat in zip(manifests, stats, strict=True):
        if stat is None:
            raise gone(store, manifest)
        if stat.bytes != manifest.bytes:
            raise altered(store, manifest, f"{manifest.bytes} bytes", f"{stat.bytes} bytes")


def _listed(days: Sequence[Day]) -> str:
    more = f" and {len(days) - _SHOWN_DAYS} more" if len(days) > _SHOWN_DAYS else ""
    return ", ".join(map(str, days[:_SHOWN_DAYS])) + more


def batches_of(
    store: Store, manifest: Manifest, rows: int, coded: Sequence[str] = ()
) -> Iterator[pa.RecordBatch]:
    """The object's rows, at most `rows` at a time, none across two row groups.

    `coded` columns come with the dictionary's type. The whole object is compared with its
    manifest before the first batch is handed out. Raises BadData, Missing, and what the
    store raises.
    """
    with explained_full_disk(), tempfile.TemporaryFile(prefix="lake-") as file:
        fetch(store, manifest, file)
        taken = 0
        try:
            opened = pq.ParquetFile(file, read_dictionary=list(coded))
            for batch in batches_in(opened, rows):
                taken += batch.num_rows
                yield batch
        except (pa.ArrowException, OSError) as error:  # OSError: bytes that are no Parquet
            raise altered(store, manifest, "Parquet of ours", error) from error
        if taken != manifest.rows:
            raise altered(store, manifest, f"{manifest.rows} rows", f"{taken} rows")
