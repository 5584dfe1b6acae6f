"""Reads a stored object back: its size, its SHA-256 and the rows that it decodes to.

Belongs here: reading an object without relying on its manifest. Does not: comparing the two
(verify), the rows of a partition that has to match (partition).
"""

from __future__ import annotations

import hashlib
import tempfile
from dataclasses import dataclass
from typing import TYPE_CHECKING, BinaryIO, Protocol

from lake.partition.batches import batches_in
from lake.process.scratch import explained_full_disk
from lake.store import Store

if TYPE_CHECKING:
    import pyarrow as pa

_BATCH_ROWS = 65_536


@dataclass(frozen=True)
class ReadBack:
    """What a stored object holds. `rows` is its Parquet footer's, None where there is none."""

    bytes: int
    sha256: str
    rows: int | None


class Watcher(Protocol):
    """Receives the rows of an object: a fingerprint, say."""

    def add(self, batch: pa.RecordBatch) -> None:
        """Takes some of them."""


def read_back(store: Store, key: str, watcher: Watcher | None = None) -> ReadBack:
    """Reads the whole object, through a work file, and shows the watcher its rows.

    `rows` is None, too, where they can't all be read. Raises what the store raises.
    """
    digest, size = hashlib.sha256(), 0
    with explained_full_disk(), tempfile.TemporaryFile(prefix="lake-") as file:
        for chunk in store.chunks(key):
            digest.update(chunk)
            size += file.write(chunk)
        file.flush()
        return ReadBack(size, digest.hexdigest(), _rows(file, watcher))


def _rows(file: BinaryIO, watcher: Watcher | None) -> int | None:
    import pyarrow as pa  # noqa: PLC0415  not every command that reads the lake needs it
    import pyarrow.parquet as pq  # noqa: PLC0415

    file.seek(0)
    try:
        parquet = pq.ParquetFile(file)
        if watcher:
            for batch in batches_in(parquet, _BATCH_ROWS):
                watcher.add(batch)
        return int(parquet.metadata.num_rows)
    except (pa.ArrowException, OSError):  # OSError: bytes that are no footer, to Arrow
        return None
