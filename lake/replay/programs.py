"""Which programs on this machine partitions are replayed into.

Belongs here: the version that a table's content needs, or came from. Does not: finding and
ranking programs (lake.servers), starting them (serving).
"""

from __future__ import annotations

from collections.abc import Sequence

from lake.base.errors import PermanentError
from lake.servers import Binary, closest, find, other_version
from lake.servers.binaries import version_parts
from lake.servers.installing import how_installed
from lake.store import Store
from lake.systems.partitions import SERVER_APPLICATION, SERVER_VERSION, Partition
from lake.systems.registry import system as registered


def programs_for(
    store: Store, partitions: Sequence[Partition], systems: Sequence[str]
) -> tuple[dict[str, Binary], list[str]]:
    """The programs by system, and what to report if a program's version is not the data's.

    Raises PermanentError where there is none, and what the store raises.
    """
    chosen: dict[str, Binary] = {}
    remarks = []
    for system in systems:
        mine = [partition for partition in partitions if partition.dataset.source == system]
        kind = registered(system)
        versions = [] if kind.reads_other_versions else _versions(mine)
        numbered = [version for version in versions if version_parts(version)[:1] >= (2,)]
        newest = max(numbered, key=version_parts, default="")
        # A version without a number chooses nothing, but gets a remark.
        others = [version for version in versions if not version_parts(version)]
        version = newest or kind.needed_version(store, mine) or next(iter(others), "")
        program = closest(system, version) if version else find(system)
        if program is None:
            raise PermanentError(
                f"no usable {system} on this machine",
                remedy=f"`lake services install {system}` gets {how_installed(system)}",
            )
        chosen[system] = program
        if not kind.reads_other_versions and (remark := other_version(system, version, program)):
            remarks.append(remark)
    return chosen, remarks


def _versions(partitions: Sequence[Partition]) -> list[str]:
    """The versions of the servers that the partitions were exported from, where recorded."""
    versions = [
        str(partition.manifest.details.get(SERVER_VERSION, ""))
        for partition in partitions
        # Mimir and others of Prometheus' API have versions of their own.
        if SERVER_APPLICATION not in partition.manifest.details
    ]
    return [version for version in versions if version]
