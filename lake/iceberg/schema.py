"""A table's Iceberg schema, how it changes, and the mapping of files' names to field ids.

Belongs here: ids. Does not: which types columns have (shape), files (syncing).

The objects have no field ids: the mapping gives each name one. PyIceberg demands an id for every
name of a file, so those that the table does not have get ids that no schema reaches.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from itertools import count
from typing import TYPE_CHECKING

from lake.iceberg.shape import ColumnShape

if TYPE_CHECKING:
    from pyiceberg.schema import Schema
    from pyiceberg.table import Transaction
    from pyiceberg.table.name_mapping import MappedField, NameMapping
    from pyiceberg.types import IcebergType, NestedField

DAY = "day"
_NO_COLUMN = 1_000_000_000


def schema_of(root: ColumnShape) -> Schema:
    """`day` and all columns that have a type, with ids of no meaning but their order."""
    from pyiceberg.schema import Schema  # noqa: PLC0415
    from pyiceberg.types import DateType, NestedField  # noqa: PLC0415

    ids = count(1)
    columns = [NestedField(next(ids), DAY, DateType(), required=False, doc="UTC day")]
    for shape in root.members.values():
        number = next(ids)
        if type_ := shape.type(ids):
            columns.append(NestedField(number, shape.name, type_, required=False, doc=shape.doc()))
    return Schema(*columns)


def change_schema(transaction: Transaction, wanted: Schema) -> bool:
    """Makes the table's columns those of `wanted`; returns whether any differed.

    A column whose type can't become the wanted one gets another id.
    """
    current = transaction.table_metadata.schema()
    new = {column.name: column.field_type for column in wanted.fields}
    gone = [
        column.name
        for column in current.fields
        if column.name not in new or not _becomes(column.field_type, new[column.name])
    ]
    if gone:
        with transaction.update_schema(allow_incompatible_changes=True) as update:
            for name in gone:
                update.delete_column((name,))
    if not gone and _same_members(current.fields, wanted.fields):
        return False
    with transaction.update_schema() as update:
        update.union_by_name(wanted)
    return True


def _becomes(old: IcebergType, new: IcebergType) -> bool:
    from pyiceberg.schema import promote  # noqa: PLC0415
    from pyiceberg.types import ListType, PrimitiveType, StructType  # noqa: PLC0415

    if isinstance(old, StructType) and isinstance(new, StructType):
        members = {member.name: member.field_type for member in new.fields}
        return all(
            m.name in members and _becomes(m.field_type, members[m.name]) for m in old.fields
        )
    if isinstance(old, ListType) and isinstance(new, ListType):
        return _becomes(old.element_type, new.element_type)
    if isinstance(old, PrimitiveType) and isinstance(new, PrimitiveType):
        if old == new:
            return True
        try:
            return bool(promote(old, new) == new)
        except ValueError:  # of PyIceberg's ResolveError
            return False
    return _same(old, new)


def _same(old: IcebergType, new: IcebergType) -> bool:
    """Whether they are equal but for ids."""
    from pyiceberg.types import ListType, MapType, StructType  # noqa: PLC0415

    if isinstance(old, StructType) and isinstance(new, StructType):
        return len(old.fields) == len(new.fields) and _same_members(old.fields, new.fields)
    if isinstance(old, ListType) and isinstance(new, ListType):
        return _same(old.element_type, new.element_type)
    if isinstance(old, MapType) and isinstance(new, MapType):
        return _same(old.key_type, new.key_type) and _same(old.value_type, new.value_type)
    return bool(old == new)


def _same_members(old: Iterable[NestedField], new: Iterable[NestedField]) -> bool:
    """Whether all of `new` are there. A comment that is no longer due may stay."""
    had = {member.name: member for member in old}
    return all(
        (before := had.get(member.name)) is not None
        and _same(before.field_type, member.field_type)
        and member.doc in (None, before.doc)
        for member in new
    )


def mapping_of(schema: Schema, root: ColumnShape) -> NameMapping:
    """Each name of each file and its id, but for names that a mapping can't hold."""
    from pyiceberg.table.name_mapping import MappedField, NameMapping  # noqa: PLC0415

    ids = count(_NO_COLUMN)
    columns = {column.name: column for column in schema.fields}
    mapped = [MappedField(field_id=columns[DAY].field_id, names=[DAY])]
    for shape in root.members.values():
        if _unmappable(shape):
            continue
        column = columns.get(shape.name)
        mapped.append(
            _mapped(
                [*shape.names],
                shape,
                column.field_id if column else None,
                column.field_type if column else None,
                ids,
            )
        )
    return NameMapping(mapped)


def _unmappable(shape: ColumnShape) -> bool:
    """Iceberg looks names up by their dotted path, and refuses a mapping that has one twice."""
    return bool(shape.clash) and "." in shape.name


def _mapped(
    names: list[str],
    shape: ColumnShape,
    number: int | None,
    type_: IcebergType | None,
    ids: Iterator[int],
) -> MappedField:
    from pyiceberg.table.name_mapping import MappedField  # noqa: PLC0415

    inside = []
    for member in shape.members.values():
        if _unmappable(member):
            continue
        child = _member(type_, member.name)
        inside.append(_mapped([*member.names], member, *child, ids))
    for name, part in shape.parts.items():
        inside.append(_mapped([name], part, *_part(type_, name), ids))
    return MappedField(field_id=next(ids) if number is None else number, names=names, fields=inside)


def _member(type_: IcebergType | None, name: str) -> tuple[int | None, IcebergType | None]:
    from pyiceberg.types import StructType  # noqa: PLC0415

    for member in type_.fields if isinstance(type_, StructType) else ():
        if member.name == name:
            return member.field_id, member.field_type
    return None, None


def _part(type_: IcebergType | None, name: str) -> tuple[int | None, IcebergType | None]:
    from pyiceberg.types import ListType, MapType  # noqa: PLC0415

    if isinstance(type_, ListType) and name == "element":
        return type_.element_id, type_.element_type
    if isinstance(type_, MapType) and name == "key":
        return type_.key_id, type_.key_type
    if isinstance(type_, MapType) and name == "value":
        return type_.value_id, type_.value_type
    return None, None
