"""A day that older rules typed, as today's rules type it: comparable with a server's day.

Belongs here: the partition's rows typed again in a local file. Does not: replacing the stored
object (export), the comparison.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace

from lake.partition.fingerprint import Fingerprint
from lake.partition.parquet import write_parquet
from lake.partition.table import schema_to_json
from lake.process.scratch import explained_full_disk, scratch_directory
from lake.retype import has_older_typing, retyped
from lake.store.directory import DirectoryStore
from lake.systems.rehearsed import RehearsedPartition

_NAME = "retyped.parquet"


@contextmanager
def of_present_typing(part: RehearsedPartition) -> Iterator[RehearsedPartition]:
    """The partition, its file and manifest as an export of the same documents makes them today.

    Raises BadData where the stored rows can't be rebuilt.
    """
    if not has_older_typing(part.manifest):
        yield part
        return
    with explained_full_disk(), scratch_directory() as folder:
        rows = Fingerprint()
        with (
            retyped(part.file, part.dataset, part.manifest, folder) as stream,
            DirectoryStore(folder).upload(_NAME) as out,
        ):
            watched = replace(stream, batches=rows.watching(stream.batches))
            write_parquet(watched, out)
        manifest = replace(
            part.manifest,
            fingerprint=str(rows),
            schema=schema_to_json(stream.schema),
            details=part.manifest.details | stream.details,
        )
        yield replace(part, file=folder / _NAME, manifest=manifest)
