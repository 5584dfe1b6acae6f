"""Where each object lies under the lake's root.

Belongs here: keys, to and from. Does not: what the objects hold.
"""

from __future__ import annotations

import uuid

from lake.base.day import Day
from lake.base.errors import UsageError

TABLES = "tables/"
MANIFESTS = "manifests/"
ROLLUPS = "rollups/"
FOLDERS = (TABLES, MANIFESTS, ROLLUPS)
_ROLLUP_MANIFESTS = f"{MANIFESTS}{ROLLUPS}"
_PENDING = ".next"


def table_prefix(dataset: str) -> str:
    """Where all partitions of a dataset lie."""
    return f"{TABLES}{dataset}/"


def table_key(dataset: str, day: Day) -> str:
    """The one Parquet object of a partition."""
    return f"{table_prefix(dataset)}day={day}/data.parquet"


def manifest_prefix(dataset: str) -> str:
    """Where all manifests of a dataset lie."""
    return f"{MANIFESTS}{dataset}/"


def manifest_key(dataset: str, day: Day) -> str:
    """The manifest of a partition."""
    return f"{manifest_prefix(dataset)}{day}.json"


def pending_key(dataset: str, day: Day) -> str:
    """One run's own place for what is to become the manifest of a partition.

    No pattern for manifests matches it.
    """
    return f"{manifest_prefix(dataset)}{day}.{uuid.uuid4().hex[:12]}{_PENDING}"


def partition_of_pending(key: str) -> tuple[str, Day] | None:
    """Dataset and day of a pending manifest's key, None for other objects."""
    if not key.endswith(_PENDING):
        return None
    return partition_of_manifest(key.removesuffix(_PENDING).rpartition(".")[0] + ".json")


def partition_of_manifest(key: str) -> tuple[str, Day] | None:
    """Dataset and day of a manifest's key, None for other objects."""
    parts = key.removeprefix(MANIFESTS).split("/")
    if not key.startswith(MANIFESTS) or len(parts) != 2 or not parts[1].endswith(".json"):
        return None
    try:
        return parts[0], Day.parse(parts[1].removesuffix(".json"))
    except UsageError:
        return None


def partition_of_table(key: str) -> tuple[str, Day] | None:
    """Dataset and day of a partition's object, None for other objects."""
    parts = key.removeprefix(TABLES).split("/")
    if len(parts) != 3 or not parts[1].startswith("day="):
        return None
    try:
        day = Day.parse(parts[1].removeprefix("day="))
    except UsageError:
        return None
    return (parts[0], day) if key == table_key(parts[0], day) else None


def rollup_prefix(dataset: str) -> str:
    """Where all rollups of a dataset lie."""
    return f"{ROLLUPS}{dataset}/"


def rollup_key(dataset: str, day: Day) -> str:
    """The Parquet object of one day's rollup."""
    return f"{rollup_prefix(dataset)}day={day}/data.parquet"


def rollup_of_object(key: str) -> tuple[str, Day] | None:
    """Dataset and day of a rollup's object, None for other objects."""
    if not key.startswith(ROLLUPS):
        return None
    return partition_of_table(TABLES + key.removeprefix(ROLLUPS))


def rollup_manifest_prefix(dataset: str) -> str:
    """Where the manifests of a dataset's rollups lie.

    One level below those of partitions: a dataset of the name `rollups` has its own beside them.
    """
    return f"{_ROLLUP_MANIFESTS}{dataset}/"


def rollup_manifest_key(dataset: str, day: Day) -> str:
    """The manifest of one day's rollup."""
    return f"{rollup_manifest_prefix(dataset)}{day}.json"


def rollup_of_manifest(key: str) -> tuple[str, Day] | None:
    """Dataset and day of a rollup's manifest, None for other objects."""
    if not key.startswith(_ROLLUP_MANIFESTS):
        return None
    return partition_of_manifest(MANIFESTS + key.removeprefix(_ROLLUP_MANIFESTS))
