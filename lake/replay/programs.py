"""Which programs on this machine partitions are replayed into.

Belongs here: the version that a table's content needs, or came from. Does not: finding and
ranking programs (lake.servers), starting them (serving).
"""

from __future__ import annotations

import tempfile
from collections.abc import Sequence

import pyarrow.parquet as pq

from lake.base.errors import PermanentError
from lake.base.store import Store
from lake.systems.partitions import Partition
from lake.servers import Binary, closest, find, other_version
from lake.servers.binaries import version_parts
from lake.servers.installing import how_installed

# In a manifest's details.
SERVER_VERSION = "server_version"
SERVER_APPLICATION = "server_application"
_TAIL = 1 << 16
_FOOTER_END = 8  # its length, and Parquet's mark
_HISTOGRAMS = "histogram."
_CATEGORISED = "3"
_NATIVE = "3"  # the first version with native histograms of every kind


def programs_for(
    store: Store, partitions: Sequence[Partition], systems: Sequence[str]
) -> tuple[dict[str, Binary], list[str]]:
    """By the system; and what to report where a program is of another version than the data.

    Raises PermanentError where there is none, and what the store raises.
    """
    chosen: dict[str, Binary] = {}
    remarks = []
    for system in systems:
        mine = [one for one in partitions if one.dataset.source == system]
        versions = _versions(system, mine)
        numbered = [one for one in versions if version_parts(one)[:1] >= (2,)]
        newest = max(numbered, key=version_parts, default="")
        # A version without a number chooses nothing, but gets a remark.
        others = [one for one in versions if not version_parts(one)]
        version = newest or _needed(system, store, mine) or next(iter(others), "")
        program = closest(system, version) if version else find(system)
        if program is None:
            raise PermanentError(
                f"no usable {system} on this machine",
                remedy=f"`lake services install {system}` gets {how_installed(system)}",
            )
        chosen[system] = program
        if system != "mongo" and (remark := other_version(system, version, program)):
            remarks.append(remark)
    return chosen, remarks


def _versions(system: str, partitions: Sequence[Partition]) -> list[str]:
    """The versions of the servers that the partitions were exported from, where recorded."""
    if system == "mongo":  # documents go into any version
        return []
    versions = [
        str(one.manifest.details.get(SERVER_VERSION, ""))
        for one in partitions
        # Mimir and others of Prometheus' API have versions of their own.
        if SERVER_APPLICATION not in one.manifest.details
    ]
    return [one for one in versions if one]


def _needed(system: str, store: Store, partitions: Sequence[Partition]) -> str:
    """Manifests of earlier versions do not contain the server's version."""
    if system == "loki" and not any(SERVER_VERSION in one.manifest.details for one in partitions):
        return _CATEGORISED  # those versions exported from no older one
    needs = system == "prometheus" and any(_has_histograms(store, one) for one in partitions)
    return _NATIVE if needs else ""


def _has_histograms(store: Store, partition: Partition) -> bool:
    """Whether a row is a native histogram, by the statistics in the Parquet footer."""
    footer = _footer(store, partition)
    for group in (footer.row_group(number) for number in range(footer.num_row_groups)):
        for column in (group.column(number) for number in range(group.num_columns)):
            if column.path_in_schema.startswith(_HISTOGRAMS):
                told = column.statistics
                if told is None or not told.has_null_count or told.null_count < group.num_rows:
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
