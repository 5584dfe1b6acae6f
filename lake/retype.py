"""Days that older rules typed: finding them, and typing them again from their own rows.

Belongs here: a partition's documents as a source, and the proof that they are the same
afterwards. Does not: the rules (systems.mongo), how a partition is replaced (export).
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any

from lake.base.day import Day
from lake.base.errors import BadData, Missing, UsageError
from lake.config.datasets import Dataset
from lake.erased import erasure_details
from lake.partition.content import fetch
from lake.partition.definition import refuse_other_definition
from lake.partition.ledger import read_ledger, read_manifest
from lake.partition.manifest import OPEN_DAY, Manifest
from lake.privacy.applying import RULED_VALUES
from lake.process.scratch import explained_full_disk
from lake.store import Store
from lake.systems.mongo.config import MongoDataset
from lake.systems.protocol import Source
from lake.systems.source import Count, WithoutServer

if TYPE_CHECKING:
    import pyarrow as pa

    from lake.partition.table import TableStream
    from lake.systems.mongo.reading.same import Documents

_ROWS = 1024  # at once in memory


def typing_of(manifest: Manifest) -> int | None:
    """The version of the rules that typed a MongoDB day; None for other sources.

    Manifests from before there were versions have 1.
    """
    if manifest.source != "mongo":
        return None
    version = manifest.details.get("typing", 1)
    return version if isinstance(version, int) else 1


def has_older_typing(manifest: Manifest) -> bool:
    """Whether today's rules may type the day otherwise."""
    typing = typing_of(manifest)
    if typing is None:
        return False
    from lake.systems.mongo.reading.names import TYPING  # noqa: PLC0415  brings pymongo

    return typing < TYPING


def older_partitions(
    store: Store, datasets: Sequence[Dataset], days: Sequence[Day] | None
) -> list[tuple[Dataset, Day]]:
    """Those of the days (None: all) that older rules typed. Raises what listing the store raises,
    and UsageError without any dataset of MongoDB.
    """
    chosen = [dataset for dataset in datasets if isinstance(dataset, MongoDataset)]
    if not chosen:
        raise UsageError("only MongoDB datasets have typed documents", remedy="name one of those")
    return [
        (dataset, day)
        for dataset in chosen
        for day, manifest in sorted(read_ledger(store, dataset.name).items())
        if (days is None or day in days)
        and isinstance(manifest, Manifest)
        and has_older_typing(manifest)
    ]


class StoredDocuments(WithoutServer):
    """The lake's own partitions as a Source of MongoDB: their documents, rebuilt."""

    lateness_days = 0

    def __init__(self, store: Store) -> None:
        self._store = store

    @contextmanager
    def read(self, dataset: Dataset, day: Day, scratch: Path) -> Iterator[TableStream]:
        """See Source. The stream ends with BadData unless its rows rebuild to the documents that
        went in. Raises Missing, BadData and PermanentError (exported under another definition).
        """
        import tempfile  # noqa: PLC0415

        manifest = self._manifest(dataset, day)
        refuse_other_definition(dataset, day, manifest)
        if not isinstance(dataset, MongoDataset):
            raise UsageError(f"{dataset.name!r} is not a MongoDB dataset")
        with explained_full_disk(), tempfile.TemporaryFile(prefix="lake-") as file:
            fetch(self._store, manifest, file)
            with retyped(file, dataset, manifest, scratch) as stream:
                yield stream

    def count(self, dataset: Dataset, day: Day) -> Count:
        """What the source counted at the export."""
        manifest = self._manifest(dataset, day)
        return Count(manifest.source_count, manifest.count_method)

    def _manifest(self, dataset: Dataset, day: Day) -> Manifest:
        manifest = read_manifest(self._store, dataset.name, day)
        if manifest is None:
            raise Missing(f"{day} is not in the lake", where=f"dataset {dataset.name}")
        return manifest


@contextmanager
def retyped(
    file: Path | IO[bytes], dataset: MongoDataset, manifest: Manifest, scratch: Path
) -> Iterator[TableStream]:
    """A partition's object, typed by today's rules. The stream ends with BadData unless its rows
    rebuild to the documents that went in.
    """
    from lake.systems.mongo.reading.same import Documents  # noqa: PLC0415  pyarrow, compiled code
    from lake.systems.mongo.reading.table import DayTable  # noqa: PLC0415

    stored = Documents()
    with DayTable(dataset, Day.parse(manifest.day), scratch) as table:
        for documents in _documents_in(file, manifest.key):
            for document in documents:
                stored.add(document)
            table.add(b"".join(documents))
        earlier = {name: getattr(manifest, name) for name in ("created_at", "sha256")}
        ruled = {k: v for k, v in manifest.details.items() if k in (RULED_VALUES, OPEN_DAY)}
        ruled |= erasure_details(manifest.details)
        stream = table.stream(retyped_from=earlier | {"typing": typing_of(manifest)}, **ruled)
        proven = _proven(stream.batches, stored, manifest)
        yield replace(stream, batches=proven, rules=manifest.rules)


def stored_documents(store: Store, manifest: Manifest) -> Iterator[list[bytes]]:
    """A partition's documents, rebuilt. Raises Missing, BadData and what the store raises."""
    import tempfile  # noqa: PLC0415

    with explained_full_disk(), tempfile.TemporaryFile(prefix="lake-") as file:
        fetch(store, manifest, file)
        yield from _documents_in(file, store.url(manifest.key))


def _documents_in(file: Path | IO[bytes], where: str) -> Iterator[list[bytes]]:
    """The documents of a table of the lake, rebuilt. Raises BadData."""
    import pyarrow as pa  # noqa: PLC0415
    import pyarrow.parquet as pq  # noqa: PLC0415

    try:
        for batch in pq.ParquetFile(file).iter_batches(_ROWS):
            yield _rebuilt(batch)
    except pa.ArrowException as error:
        raise BadData("not a Parquet file of the lake", where=where, found=error) from error


def source_documents(source: Source, dataset: Dataset, day: Day, scratch: Path) -> Documents:
    """What the source has now, on the path that an export takes. Raises what the source raises."""
    from lake.systems.mongo.reading.same import Documents  # noqa: PLC0415

    documents = Documents()
    with source.read(dataset, day, scratch) as stream:
        for batch in stream.batches:
            _add(documents, batch)
    return documents


def documents_of(store: Store, manifest: Manifest) -> Documents:
    """The partition's. Raises as `stored_documents`."""
    from lake.systems.mongo.reading.same import Documents  # noqa: PLC0415

    sums = Documents()
    for documents in stored_documents(store, manifest):
        for document in documents:
            sums.add(document)
    return sums


def _proven(
    batches: Iterator[pa.RecordBatch], stored: Documents, manifest: Manifest
) -> Iterator[pa.RecordBatch]:
    """The same batches; an error behind the last one where they are other documents."""
    typed: Any = type(stored)()
    for batch in batches:
        _add(typed, batch)
        yield batch
    if typed != stored:
        raise BadData(
            "the retyped rows do not rebuild to the stored documents",
            where=f"{manifest.dataset} {manifest.day}",
            expected=f"{stored.count} documents, {stored.total:032x}",
            found=f"{typed.count} documents, {typed.total:032x}",
            remedy="the stored partition stays as it is and answers as before; report this",
        )


def _add(documents: Documents, batch: pa.RecordBatch) -> None:
    for begin in range(0, batch.num_rows, _ROWS):
        for document in _rebuilt(batch.slice(begin, _ROWS)):
            documents.add(document)


def _rebuilt(batch: pa.RecordBatch) -> list[bytes]:
    from lake.systems.mongo.reading import rebuild  # noqa: PLC0415

    return [rebuild(row, batch.schema) for row in batch.to_pylist()]
