"""Which Prometheus partitions need.

Belongs here: what a table's content needs. Does not: finding programs (lake.servers).
"""

from __future__ import annotations

import tempfile
from collections.abc import Sequence

import pyarrow.parquet as pq

from lake.store import Store
from lake.systems.partitions import Partition
from lake.systems.prometheus.reading.promql import name_of

# The first version with native histograms of every kind, and with queries for names in UTF-8.
_NEWER = "3"
_TAIL = 1 << 16
_FOOTER_END = 8  # its length, and Parquet's mark
_HISTOGRAMS = "histogram."


def needed_version(store: Store, partitions: Sequence[Partition]) -> str:
    """The lowest; "" where any will do. Raises what the store raises."""
    needed = any(
        _has_quoted_names(partition) or _has_histograms(store, partition)
        for partition in partitions
    )
    return _NEWER if needed else ""


def _has_quoted_names(partition: Partition) -> bool:
    """Whether a label with a column has a name that has to be quoted."""
    names = [str(column["name"]) for column in partition.manifest.schema]
    return any(name_of(name) != name for name in names)


def _has_histograms(store: Store, partition: Partition) -> bool:
    """Whether a row is a native histogram, by the statistics in the Parquet footer."""
    footer = _footer(store, partition)
    for group in (footer.row_group(number) for number in range(footer.num_row_groups)):
        for column in (group.column(number) for number in range(group.num_columns)):
            if column.path_in_schema.startswith(_HISTOGRAMS):
                counts = column.statistics
                if (
                    counts is None
                    or not counts.has_null_count
                    or counts.null_count < group.num_rows
                ):
                    return True
                break  # one member of the STRUCT stands for all
    return False


def _footer(store: Store, partition: Partition) -> pq.FileMetaData:
    """Read alone: the object may be large."""
    key, size, tail = partition.manifest.key, partition.manifest.bytes, _TAIL
    while True:
        start = max(0, size - tail)
        data = b"".join(store.chunks(key, start))
        length = int.from_bytes(data[-_FOOTER_END:-4], "little") + _FOOTER_END
        if length <= len(data) or start == 0:
            break
        tail = length
    with tempfile.TemporaryFile(prefix="lake-") as file:  # sparse
        file.seek(start)
        file.write(data)
        return pq.read_metadata(file)
