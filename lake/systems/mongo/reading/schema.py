"""Which columns a day of documents gets: the commonest exact fit of each path.

Belongs here: counting kinds, names that may not be columns, the bounds on a table's width.
Does not: filling the columns (columns).

Bounds, so that no document can make a table that no reader opens: 1,000 columns (the
commonest, in a tie the first by name), STRUCTs of at most 256 members (the commonest too),
12 levels, 4,000 leaf columns (the commonest), names of 1,024 bytes, 200,000 paths that are
learned at all. Of names that differ only in case the commonest may be a column.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from lake.systems.mongo.reading.kinds import VOTES, Kind
from lake.systems.mongo.reading.loops.paths import ROOT
from lake.systems.mongo.reading.names import (
    BINARY3,
    BSON,
    EXTENDED_NAMES,
    FIXED_NAMES,
    OBJECT_ID,
    RAW,
    REST,
    UUID,
)
from lake.systems.mongo.reading.numbers import (
    CLASSES,
    NO_INTEGER,
    NUMBERS,
    Decimals,
    NumberColumn,
    note_decimals,
    number_column,
)
from lake.systems.mongo.reading.paths import Node, Paths
from lake.systems.mongo.reading.samples import Samples
from lake.systems.mongo.reading.scan import scan
from lake.systems.mongo.reading.settle import count

_MAX_COLUMNS = 1000
_MAX_MEMBERS = 256
_MAX_DEPTH = 12
_MAX_LEAVES = 4000
_MAX_NAME_BYTES = 1024
_MAX_PATHS = 200_000
_PLAIN_KINDS = tuple(kind for kind in Kind if Kind.NONE < kind < Kind.NULL and kind not in NUMBERS)

_PLAIN_TYPES = {
    Kind.STRING: pa.string(),
    Kind.DATE: pa.timestamp("ms", "UTC"),
    Kind.OBJECT_ID: pa.string(),
    Kind.BOOL: pa.bool_(),
    Kind.BINARY: pa.binary(),
    Kind.UUID: pa.string(),
    Kind.BINARY3: pa.string(),
}
_BSON_TYPES = {Kind.OBJECT_ID: OBJECT_ID, Kind.UUID: UUID, Kind.BINARY3: BINARY3}


@dataclass(frozen=True)
class Column:
    """A typed column, a STRUCT's member or a LIST's element; `children` in their order.

    `variety`: how many of the values differ from each other, from 0 to 1.
    """

    node: Node
    kind: Kind
    field: pa.Field
    children: tuple[Column, ...] = ()
    variety: float = 0

    def all(self) -> Iterable[Column]:
        """This one and all below."""
        yield self
        for child in self.children:
            yield from child.all()


class Learner:
    """Counts, batch after batch, how many values each kind of column would hold exactly.

    An array votes once for its elements' kind, and only if one column holds all of them.
    """

    def __init__(self, time_field: str) -> None:
        self.paths = Paths(_MAX_DEPTH, _MAX_PATHS)
        self._votes = np.zeros((1024, VOTES), np.int64)
        self._integers = np.full((1024, 2), NO_INTEGER, np.int64)
        self._decimals: dict[int, Decimals] = {}
        self._samples = Samples()
        self._nodes: list[Node] = []
        self._weights = np.zeros(0, np.int64)
        self._cut: set[int] = set()
        self._id_path = self.paths.field(ROOT, b"_id")
        self._time_paths = []
        path = ROOT
        for name in time_field.encode().split(b"."):
            path = self.paths.field(path, name)
            self._time_paths.append(path)

    def learn(self, data: Any, starts: Sequence[int] | npt.NDArray[np.int64]) -> None:
        """Counts these documents in."""
        tokens = scan(data, starts, self.paths)
        while len(self._votes) < len(self.paths):
            self._votes = np.concatenate([self._votes, np.zeros_like(self._votes)])
            more = np.full_like(self._integers, NO_INTEGER)
            self._integers = np.concatenate([self._integers, more])
        held = count(tokens, self.paths, self._votes, self._integers)
        note_decimals(self._decimals, tokens, held)
        self._samples.add(tokens, held)
        self.paths.forget_surplus()

    def columns(self) -> tuple[Column, ...]:
        """The table's typed columns: `_id`, the time field, the others as first met."""
        self._nodes = self.paths.nodes()
        self._weights = self._votes[: len(self._nodes)].sum(axis=1)
        columns = self._choose_all()
        leaves = [part.node for column in columns for part in column.all() if not part.children]
        if len(leaves) > _MAX_LEAVES:
            leaves.sort(key=self._rank)
            self._cut = {node.id for node in leaves[_MAX_LEAVES:]}
            columns = self._choose_all()
        return columns

    def _rank(self, node: Node) -> tuple[int, bytes]:
        """In the order of these the commonest are first."""
        return -int(self._weights[node.id]), node.name or b""

    def _choose_all(self) -> tuple[Column, ...]:
        root = self._nodes[ROOT]
        forced = [self._nodes[path] for path in dict.fromkeys([self._id_path, self._time_paths[0]])]
        forced = [node for node in forced if node.text and node.text.lower() not in FIXED_NAMES]
        chosen: list[Column | None] = [self._forced(node) for node in forced]
        chosen += [self._choose(node) for node in self._allowed(root, _MAX_COLUMNS, forced)]
        return tuple(column for column in chosen if column)

    def _allowed(self, parent: Node, most: int, forced: Sequence[Node] = ()) -> list[Node]:
        """The members that can be columns beside the forced ones: the commonest.

        DuckDB does not distinguish "a" and "A".
        """
        folded = {node.text.casefold() for node in forced if node.text}
        able: list[Node] = []
        for node in sorted(parent.children, key=self._rank):
            fixed = parent.id == ROOT and (node.text or "").lower() in FIXED_NAMES
            long = len(node.name or b"") > _MAX_NAME_BYTES
            if not node.text or fixed or long or node.name in EXTENDED_NAMES:
                continue
            if len(able) + len(forced) < most and node.text.casefold() not in folded:
                folded.add(node.text.casefold())
                able.append(node)
        return sorted(able, key=lambda node: node.id)

    def _forced(self, node: Node) -> Column:
        """`_id` and the time field have a column whatever the day holds."""
        if node.id not in self._time_paths:
            return self._choose(node) or _column(node, Kind.OBJECT_ID, pa.string())
        if node.id == self._time_paths[-1]:
            return _column(node, Kind.DATE, _PLAIN_TYPES[Kind.DATE])
        inner = self._nodes[self._time_paths[self._time_paths.index(node.id) + 1]]
        members = [self._forced(inner)]
        if node.opens_documents:
            allowed = self._allowed(node, _MAX_MEMBERS, [inner])
            members += [column for n in allowed if (column := self._choose(n))]
        return _nested(node, Kind.STRUCT, tuple(members))

    def _choose(self, node: Node) -> Column | None:
        """The commonest kind that can be a column."""
        if node.id in self._cut:
            return None
        number = self._number(node)
        held = self._held(node, number)
        for kind in sorted(held, key=lambda kind: (-held[kind], kind)):
            if held[kind] == 0:
                return None
            if number and kind == number.kind:
                column = _column(node, kind, number.type)
                return replace(column, variety=self._samples.share(node.id))
            if chosen := self._column_of(node, kind):
                return chosen
        return None

    def _number(self, node: Node) -> NumberColumn | None:
        votes = self._votes[node.id]
        if not votes[list(CLASSES)].any():
            return None
        least, largest = self._integers[node.id].tolist()
        return number_column(votes, self._decimals.get(node.id), (least, largest))

    def _held(self, node: Node, number: NumberColumn | None) -> dict[Kind, int]:
        """How many values a column of each kind would hold."""
        votes = self._votes[node.id]
        held = {kind: int(votes[kind]) for kind in _PLAIN_KINDS}
        if number:
            held[number.kind] = number.held
        if node.item and held[Kind.LIST]:
            empty = held[Kind.LIST] - int(self._votes[node.item.id].sum())
            best = self._held(node.item, self._number(node.item)).values()
            held[Kind.LIST] = empty + max(best)
        return held

    def _column_of(self, node: Node, kind: Kind) -> Column | None:
        if kind == Kind.STRUCT:
            if not node.opens_documents:
                return None
            chosen = (self._choose(child) for child in self._allowed(node, _MAX_MEMBERS))
            members = tuple(column for column in chosen if column)
            return _nested(node, kind, members) if members else None
        if kind == Kind.LIST:
            element = self._choose(node.item) if node.item else None
            return _nested(node, kind, (element,)) if element else None
        column = _column(node, kind, _PLAIN_TYPES[kind])
        return replace(column, variety=self._samples.share(node.id))


def _column(
    node: Node, kind: Kind, type_: pa.DataType, children: tuple[Column, ...] = ()
) -> Column:
    metadata = {BSON: _BSON_TYPES[kind]} if kind in _BSON_TYPES else None
    name = "element" if node.name is None else node.text
    return Column(node, kind, pa.field(name, type_, metadata=metadata), children)


def _nested(node: Node, kind: Kind, children: tuple[Column, ...]) -> Column:
    fields = [child.field for child in children]
    type_ = pa.struct(fields) if kind == Kind.STRUCT else pa.list_(fields[0])
    return _column(node, kind, type_, children)


def arrow_schema(columns: tuple[Column, ...]) -> pa.Schema:
    """The table's schema: the typed columns, then `_rest` and `_raw`."""
    fixed = [pa.field(REST, pa.string()), pa.field(RAW, pa.binary())]
    return pa.schema([*(column.field for column in columns), *fixed])
