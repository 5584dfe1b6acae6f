"""A table of Iceberg, brought in line with a dataset's manifests.

Belongs here: which days are added, replaced and removed, and the commit. Does not: types (shape),
ids (schema).

A file is taken into the table as it is, by its path; its rows and bytes come from the manifest, so
no object is opened. `day` is in no file: it is the identity partition, whose value engines read
from the metadata. A day without rows has no file in the table.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

from lake.base.clock import utc_now
from lake.base.day import Day
from lake.base.errors import TransientError, UsageError
from lake.iceberg.schema import DAY, change_schema, mapping_of, schema_of
from lake.iceberg.shape import ColumnShape, merged, milliseconds_of
from lake.query import Lake
from lake.query.kinds import folded
from lake.store.opening import root_url

if TYPE_CHECKING:
    from pyiceberg.catalog import Catalog
    from pyiceberg.manifest import DataFile
    from pyiceberg.table import Table, Transaction

    from lake.query.tables import Table as LakeTable

_MAPPING = "schema.name-mapping.default"
_DAYS, _SNAPSHOT, _MARK = "lake.days", "lake.snapshot-id", "lake.dataset"
_PROPERTIES = {
    "gc.enabled": "false",  # engines neither purge nor expire: the files are the lake's
    "format-version": "2",
    "write.metadata.delete-after-commit.enabled": "true",  # old metadata files, no data
    "write.metadata.previous-versions-max": "10",
}
_COMMITS_APART = timedelta(minutes=1)  # what engines allow
_DIGITS = 12  # of a SHA-256, enough to see that a day was replaced


@dataclass(frozen=True)
class Synced:
    """What was done to one table. `left_out`: paths without a type, each with its types' days or
    another reason. `milliseconds`: times that Iceberg for Java compares wrongly.
    """

    table: str
    days: int
    added: int
    replaced: int
    removed: int
    left_out: Mapping[str, str]
    milliseconds: tuple[str, ...]


def sync_table(lake: Lake, catalog: Catalog, namespace: str, dataset: str) -> Synced:
    """Creates or updates the table in one commit; none where nothing has changed. Raises LakeError,
    UsageError where a table of that name is not the dataset's, TransientError where this machine's
    clock is behind the table's last commit.
    """
    lake_table = lake.table(dataset)
    root = _shape(lake_table)
    table = _opened(catalog, f"{namespace}.{dataset}", dataset, root)
    wanted = {
        str(day): manifest.sha256[:_DIGITS]
        for day, manifest in sorted(lake_table.manifests.items())
        if manifest.rows
    }
    held = _held(table)
    stale = {day for day, digest in held.items() if wanted.get(day) != digest}
    new = {day for day, digest in wanted.items() if held.get(day) != digest}
    with table.transaction() as transaction:
        changed = change_schema(transaction, schema_of(root))
        mapping = mapping_of(transaction.table_metadata.schema(), root).model_dump_json()
        properties = {}
        if changed or stale or new or table.properties.get(_MAPPING) != mapping:
            _require_later(table)
        if changed or table.properties.get(_MAPPING) != mapping:
            properties[_MAPPING] = mapping
        if stale or new:
            snapshot = _replace_files(transaction, table, lake, lake_table, stale, new)
            days = " ".join(f"{day}:{digest}" for day, digest in wanted.items())
            properties |= {_DAYS: days, _SNAPSHOT: str(snapshot)}
        if properties:
            transaction.set_properties(properties)
    return Synced(
        table=f"{namespace}.{dataset}",
        days=len(wanted),
        added=len(new - held.keys()),
        replaced=len(new & held.keys()),
        removed=len(stale - wanted.keys()),
        left_out=dict(
            left_out
            for shape in root.members.values()
            for left_out in shape.left_out((shape.name,))
        ),
        milliseconds=tuple(milliseconds_of(root)),
    )


def _shape(table: LakeTable) -> ColumnShape:
    """The columns that the lake's view has: of too many names the commonest. Days without rows
    give columns only to a table without any.
    """
    days = sorted(table.manifests.items())
    return merged(
        (str(day), (c for c in manifest.schema if folded(c["name"]) in table.tree.members))
        for day, manifest in [item for item in days if item[1].rows] or days
    )


def _opened(catalog: Catalog, name: str, dataset: str, root: ColumnShape) -> Table:
    from pyiceberg.partitioning import PartitionField, PartitionSpec  # noqa: PLC0415
    from pyiceberg.transforms import IdentityTransform  # noqa: PLC0415

    if not catalog.table_exists(name):
        catalog.create_namespace_if_not_exists(name.rpartition(".")[0])
        by_day = PartitionField(source_id=1, field_id=1000, transform=IdentityTransform(), name=DAY)
        return catalog.create_table(
            name,
            schema_of(root),
            partition_spec=PartitionSpec(by_day),
            properties={**_PROPERTIES, _MARK: dataset},
        )
    table = catalog.load_table(name)
    if table.properties.get(_MARK) != dataset:
        raise UsageError(
            "a table of that name is there and is not the dataset's",
            where=name,
            expected=f"no table, or one whose property {_MARK} is {dataset}",
            found=f"{_MARK} = {table.properties.get(_MARK)}",
            remedy="name another --namespace",
        )
    return table


def _require_later(table: Table) -> None:
    """The Java library opens no table whose commits go back in time by more than a minute: a commit
    after the clock was set back would close it to every engine.
    """
    last, now = datetime.fromtimestamp(table.metadata.last_updated_ms / 1000, UTC), utc_now()
    if last - now > _COMMITS_APART:
        raise TransientError(
            "the table's last commit is later than this machine's time",
            where=".".join(table.name()),
            expected=f"a time after {last:%Y-%m-%d %H:%M:%S} UTC",
            found=f"{now:%Y-%m-%d %H:%M:%S} UTC",
            remedy="set the clock by NTP; if it was ahead at that commit, run it again after that "
            "time",
        )


def _held(table: Table) -> dict[str, str]:
    """The days in the table with their digests, "" for each where somebody else has changed it."""
    snapshot = table.current_snapshot()
    if snapshot is None:
        return {}
    if table.properties.get(_SNAPSHOT) != str(snapshot.snapshot_id):
        return {str(_day_of(file)): "" for file in _data_files(table)}
    pairs = (part.partition(":") for part in table.properties[_DAYS].split())
    return {day: digest for day, _, digest in pairs}


def _data_files(table: Table) -> Iterator[DataFile]:
    """Without files of an engine's deletes: they apply to no file that is added again."""
    from pyiceberg.manifest import ManifestContent  # noqa: PLC0415

    snapshot = table.current_snapshot()
    for manifest in snapshot.manifests(table.io) if snapshot else ():
        if manifest.content != ManifestContent.DATA:
            continue
        for entry in manifest.fetch_manifest_entry(table.io, discard_deleted=True):
            yield entry.data_file


def _day_of(file: DataFile) -> Day:
    value: Any = file.partition[0]
    return Day.parse("1970-01-01").plus(value) if isinstance(value, int) else Day.parse(str(value))


def _replace_files(
    transaction: Transaction,
    table: Table,
    lake: Lake,
    lake_table: LakeTable,
    stale: set[str],
    new: set[str],
) -> int:
    """One snapshot; its id."""
    update = transaction.update_snapshot()
    with update.overwrite() if stale else update.fast_append() as snapshot:
        for file in _data_files(table) if stale else ():
            if str(_day_of(file)) in stale:
                snapshot.delete_data_file(file)
        for day in sorted(new):
            snapshot.append_data_file(_data_file(transaction, lake, lake_table, Day.parse(day)))
        return int(snapshot.snapshot_id)


def _data_file(transaction: Transaction, lake: Lake, lake_table: LakeTable, day: Day) -> DataFile:
    from pyiceberg.manifest import DataFile, DataFileContent, FileFormat  # noqa: PLC0415
    from pyiceberg.typedef import Record  # noqa: PLC0415

    manifest = lake_table.manifests[day]
    return DataFile.from_args(
        content=DataFileContent.DATA,
        file_path=f"{root_url(lake.settings)}/{lake_table.key(lake_table.dataset, day)}",
        file_format=FileFormat.PARQUET,
        partition=Record(Day.parse("1970-01-01").days_until(day)),
        record_count=manifest.rows,
        file_size_in_bytes=manifest.bytes,
        spec_id=transaction.table_metadata.default_spec_id,
    )
