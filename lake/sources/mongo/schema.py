"""Which columns a day of documents gets: the commonest exact fit of each path.

Belongs here: counting kinds, names that may not be columns, the bounds on a table's width.
Does not: filling the columns (columns).

Bounds, so that no document can make a table that no reader opens: 1,000 columns (the
commonest, in a tie the first by name), STRUCTs of at most 256 members (an object that goes
by more names over the day is a map with data for names, and goes to `_rest` whole), 12
levels, 4,000 leaf columns (else the deepest levels go to `_rest`), names of 1,024 bytes,
200,000 paths that are learned at all.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from lake.sources.mongo.kinds import Kind, Values
from lake.sources.mongo.loops.paths import ROOT
from lake.sources.mongo.names import EXTENDED_NAMES, FIXED_NAMES, OBJECT_ID_METADATA, RAW, REST
from lake.sources.mongo.paths import Node, Paths
from lake.sources.mongo.samples import Samples
from lake.sources.mongo.scan import Tokens, scan
from lake.sources.mongo.settle import Held, count

_MAX_COLUMNS = 1000
_MAX_MEMBERS = 256
_MAX_DEPTH = 12
_MAX_LEAVES = 4000
_MAX_NAME_BYTES = 1024
_MAX_PATHS = 200_000
_COLUMN_KINDS = tuple(kind for kind in Kind if Kind.NONE < kind < Kind.NULL)
_LARGEST_PRECISION = 38

_PLAIN_TYPES = {
    Kind.STRING: pa.string(),
    Kind.INT: pa.int64(),
    Kind.DOUBLE: pa.float64(),
    Kind.DATE: pa.timestamp("ms", "UTC"),
    Kind.OBJECT_ID: pa.string(),
    Kind.BOOL: pa.bool_(),
    Kind.BINARY: pa.binary(),
}


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


@dataclass
class _Decimals:
    """What the Decimal128 values of one path have in common."""

    exponents: set[int] = field(default_factory=set)
    largest: int = 0

    def type(self) -> pa.DataType | None:
        """DECIMAL(p, s) where every value has that very exponent."""
        if len(self.exponents) != 1:
            return None
        scale = -next(iter(self.exponents))
        precision = max(len(str(self.largest)), scale)
        if scale < 0 or precision > _LARGEST_PRECISION:
            return None
        return pa.decimal128(precision, scale)


class Learner:
    """Counts, batch after batch, how many values each kind of column would hold exactly.

    An array votes once for its elements' kind, and only if all are of one kind.
    """

    def __init__(self, time_field: str) -> None:
        self.paths = Paths(_MAX_DEPTH, _MAX_MEMBERS, _MAX_PATHS)
        self._votes = np.zeros((1024, len(Kind)), np.int64)
        self._decimals: dict[int, _Decimals] = {}
        self._samples = Samples()
        self._nodes: list[Node] = []
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
        held = count(tokens, self.paths, self._votes)
        self._note_decimals(tokens, held)
        self._samples.add(tokens, held)
        self.paths.forget_surplus()

    def _note_decimals(self, tokens: Tokens, held: Held) -> None:
        values = Values(tokens.data)
        for path in np.unique(tokens.path[tokens.kind == Kind.DECIMAL]).tolist():
            mine = held.of(path)
            mine = mine[tokens.kind[mine] == Kind.DECIMAL]
            if not len(mine):
                continue
            parts = values.decimals(tokens.at[mine])
            noted = self._decimals.setdefault(path, _Decimals())
            noted.exponents.update(np.unique(parts.exponent).tolist())
            high = parts.high
            low = parts.low[high == high.max()].max()
            noted.largest = max(noted.largest, int(high.max()) << 64 | int(low))

    def columns(self) -> tuple[Column, ...]:
        """The table's typed columns: `_id`, the time field, the others as first met."""
        self._nodes = self.paths.nodes()
        for depth in range(_MAX_DEPTH, 0, -1):
            columns = self._choose_all(depth)
            leaves = sum(not part.children for column in columns for part in column.all())
            if leaves <= _MAX_LEAVES:
                break
        return columns

    def _choose_all(self, depth: int) -> tuple[Column, ...]:
        root = self._nodes[ROOT]
        forced = [self._nodes[path] for path in dict.fromkeys([self._id_path, self._time_paths[0]])]
        forced = [node for node in forced if node.text and node.text.lower() not in FIXED_NAMES]
        allowed = self._allowed(root, keep=forced)
        others = [node for node in allowed if node not in forced]
        by_weight = sorted(others, key=lambda n: (-int(self._votes[n.id].sum()), n.name or b""))
        common = set(by_weight[: _MAX_COLUMNS - len(forced)])
        chosen: list[Column | None] = [self._forced(node, depth) for node in forced]
        chosen += [self._choose(node, depth) for node in others if node in common]
        return tuple(column for column in chosen if column)

    def _allowed(self, parent: Node, keep: list[Node]) -> list[Node]:
        """The members whose names can be columns. DuckDB does not tell "a" from "A"."""
        folded = Counter(node.text.casefold() for node in parent.children if node.text)
        return [
            node
            for node in parent.children
            if node in keep
            or (
                node.text
                and node.name not in EXTENDED_NAMES
                and len(node.name or b"") <= _MAX_NAME_BYTES
                and folded[node.text.casefold()] == 1
                and not (parent.id == ROOT and node.text.lower() in FIXED_NAMES)
            )
        ]

    def _forced(self, node: Node, depth: int) -> Column:
        """`_id` and the time field have a column whatever the day holds."""
        if node.id not in self._time_paths:
            return self._choose(node, depth) or _column(node, Kind.OBJECT_ID, pa.string())
        if node.id == self._time_paths[-1]:
            return _column(node, Kind.DATE, _PLAIN_TYPES[Kind.DATE])
        inner = self._nodes[self._time_paths[self._time_paths.index(node.id) + 1]]
        members = [self._forced(inner, depth)]
        if node.opens_documents:
            allowed = (n for n in self._allowed(node, keep=[inner]) if n is not inner)
            members += [column for n in allowed if (column := self._choose(n, depth))]
        return _nested(node, Kind.STRUCT, tuple(members))

    def _choose(self, node: Node, depth: int) -> Column | None:
        """The commonest kind that can be a column."""
        votes = self._votes[node.id].copy()
        if node.item:
            empty = votes[Kind.LIST] - self._votes[node.item.id].sum()
            votes[Kind.LIST] = empty + self._votes[node.item.id].max()
        for kind in sorted(_COLUMN_KINDS, key=lambda k: (-votes[k], k)):
            if votes[kind] == 0:
                return None
            column = self._column_of(node, kind, depth)
            if column:
                return column
        return None

    def _column_of(self, node: Node, kind: Kind, depth: int) -> Column | None:
        if kind == Kind.STRUCT:
            if not node.opens_documents or node.depth >= depth:
                return None
            chosen = (self._choose(child, depth) for child in self._allowed(node, keep=[]))
            members = tuple(column for column in chosen if column)
            return _nested(node, kind, members) if members else None
        if kind == Kind.LIST:
            if not node.item or node.depth >= depth:
                return None
            element = self._choose(node.item, depth)
            return _nested(node, kind, (element,)) if element else None
        if kind == Kind.DECIMAL:
            decimal = self._decimals[node.id].type()
            return _column(node, kind, decimal) if decimal else None
        column = _column(node, kind, _PLAIN_TYPES[kind])
        return replace(column, variety=self._samples.share(node.id))


def _column(
    node: Node, kind: Kind, type_: pa.DataType, children: tuple[Column, ...] = ()
) -> Column:
    metadata = OBJECT_ID_METADATA if kind == Kind.OBJECT_ID else None
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
