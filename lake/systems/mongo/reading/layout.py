"""How a Mongo table's columns are laid out in Parquet.

Belongs here: the encoding of each leaf, the order of rows as Parquet states it.
Does not: which columns there are (schema).
"""

from __future__ import annotations

import itertools
from collections import Counter
from collections.abc import Iterator, Sequence

from lake.systems.mongo.config import MongoDataset
from lake.systems.mongo.reading.kinds import Kind
from lake.systems.mongo.reading.names import REST
from lake.systems.mongo.reading.schema import Column

# Above such a share of different values a dictionary costs more than it saves.
_DICTIONARY_UP_TO = {Kind.STRING: 0.9, Kind.DOUBLE: 0.1, Kind.DECIMAL: 1.0, Kind.UUID: 0.9}
_ENCODINGS = {
    Kind.INT: "DELTA_BINARY_PACKED",
    Kind.DATE: "DELTA_BINARY_PACKED",
    Kind.DOUBLE: "BYTE_STREAM_SPLIT",
    Kind.STRING: "DELTA_BYTE_ARRAY",
    Kind.OBJECT_ID: "DELTA_BYTE_ARRAY",  # neighbours begin alike: seconds, then the process
    Kind.UUID: "DELTA_BYTE_ARRAY",
    Kind.BINARY3: "DELTA_BYTE_ARRAY",
}


def encodings(columns: Sequence[Column]) -> dict[str, str]:
    """Leaf path to Parquet encoding, for TableStream."""
    return {
        path: _ENCODINGS[leaf.kind]
        for path, leaf in _unmistakable(columns)
        if leaf.kind in _ENCODINGS and not _has_dictionary(leaf)
    }


def dictionary_columns(columns: Sequence[Column]) -> tuple[str, ...]:
    """Leaf paths of dictionary-encoded columns, for TableStream."""
    return (*(path for path, leaf in _unmistakable(columns) if _has_dictionary(leaf)), REST)


def _has_dictionary(leaf: Column) -> bool:
    return leaf.variety <= _DICTIONARY_UP_TO.get(leaf.kind, -1)


def _unmistakable(columns: Sequence[Column]) -> Iterator[tuple[str, Column]]:
    """Leaves whose path is theirs alone: a column `a.b` looks like the member b of a."""
    leaves = list(_leaves(columns))
    paths = Counter(path for path, _ in leaves)
    return ((path, leaf) for path, leaf in leaves if paths[path] == 1)


def _leaves(columns: Sequence[Column], prefix: str = "") -> Iterator[tuple[str, Column]]:
    for column in columns:
        path = prefix + str(column.field.name)
        if column.kind == Kind.STRUCT:
            yield from _leaves(column.children, f"{path}.")
        elif column.kind == Kind.LIST:
            yield from _leaves(column.children, f"{path}.list.")
        else:
            yield path, column


def sorted_by(columns: Sequence[Column], dataset: MongoDataset) -> tuple[str, ...]:
    """The time field, where it is a column of its own and has a value in each row."""
    # Parquet numbers leaf columns: what stands before has to be one each.
    flat = itertools.takewhile(lambda column: not column.children, columns)
    names = [column.field.name for column in flat]
    if dataset.time_fallback or dataset.time_field not in names:
        return ()
    return (dataset.time_field,)
