"""Work files on the local disk, and stored objects looked at through one.

Belongs here: reading an object back, and what a full disk means. Does not: what is made of it.
"""

from __future__ import annotations

import errno
import hashlib
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, BinaryIO, Protocol

from lake.base.errors import PermanentError
from lake.base.store import Store

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
    """Who looks at the rows of an object: a fingerprint."""

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
            for batch in parquet.iter_batches(_BATCH_ROWS):
                watcher.add(batch)
        return int(parquet.metadata.num_rows)
    except (pa.ArrowException, OSError):  # OSError: bytes that are no footer, to Arrow
        return None


@contextmanager
def explained_full_disk() -> Iterator[None]:
    """Raises PermanentError where the local disk has no room left for work files."""
    try:
        yield
    except OSError as error:
        if error.errno not in (errno.ENOSPC, errno.EDQUOT, errno.EFBIG):
            raise
        raise PermanentError(
            "no space left for work files",
            where=error.filename or tempfile.gettempdir(),
            found=error.strerror,
            remedy="free some space, or let TMPDIR name a folder that has more",
        ) from error
