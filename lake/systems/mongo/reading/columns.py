"""Fills a day's columns: BSON documents to Arrow record batches.

Belongs here: gathering values into arrays, `_rest` and `_raw`.
Does not: choosing the columns (schema), reading documents (reader).
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from lake.systems.mongo.reading.extended import UnrepresentableError, extended
from lake.systems.mongo.reading.kinds import Int32s, Kind, UInt8s
from lake.systems.mongo.reading.left_out import LeftOut
from lake.systems.mongo.reading.loops import fill
from lake.systems.mongo.reading.loops.paths import FLAGS, OPENS_ARRAYS, OPENS_DOCUMENTS, ROOT
from lake.systems.mongo.reading.paths import Paths
from lake.systems.mongo.reading.scan import Tokens, scan
from lake.systems.mongo.reading.schema import Column, arrow_schema
from lake.systems.mongo.reading.settle import Chosen, Held, settle

# Of values that are written as digits: where their bytes begin, how many they are, and how many
# characters that makes.
_DIGITS = {Kind.OBJECT_ID: (0, 12, 24), Kind.UUID: (5, 16, 36), Kind.BINARY3: (5, 16, 32)}


@dataclass
class Tally:
    """What went through a Builder. `nan`: the number of NaNs in columns, by path."""

    left_out: LeftOut
    nan: Counter[int] = field(default_factory=Counter)
    with_rest: int = 0
    with_raw: int = 0


class Builder:
    """Makes record batches of `schema` out of BSON documents."""

    def __init__(self, paths: Paths, columns: Sequence[Column]) -> None:
        self.paths = paths
        self._columns = tuple(columns)
        self.schema = arrow_schema(self._columns)
        self._chosen = Chosen.none(len(paths))
        for column in self._columns:
            for part in column.all():
                self._chosen.kinds[part.node.id] = part.kind
                if part.kind == Kind.DECIMAL:
                    self._chosen.scales[part.node.id] = part.field.type.scale
                    self._chosen.precisions[part.node.id] = part.field.type.precision
        self.tally = Tally(LeftOut(self._chosen.kinds))
        # What no column needs is not looked into.
        flags = paths.table[:, FLAGS]
        flags &= ~(OPENS_DOCUMENTS | OPENS_ARRAYS)
        flags[np.flatnonzero(self._chosen.kinds == Kind.STRUCT)] |= OPENS_DOCUMENTS
        flags[np.flatnonzero(self._chosen.kinds == Kind.LIST)] |= OPENS_ARRAYS
        flags[ROOT] |= OPENS_DOCUMENTS

    def batch(self, data: Any, starts: Sequence[int] | npt.NDArray[np.int64]) -> pa.RecordBatch:
        """One row per document, in their order."""
        tokens = scan(data, starts, self.paths)
        chosen = self._chosen.grown(len(self.paths))
        held = settle(tokens, self.paths, chosen)
        self.tally.left_out.add(tokens, held, self.paths)
        rest, raw = self._left_over(tokens, held)
        self.paths.forget_surplus()
        gather = _Gather(tokens, held, self.tally.nan)
        arrays = [gather.top(column) for column in self._columns]
        return pa.record_batch([*arrays, rest, raw], schema=self.schema)

    def nan(self) -> dict[str, int]:
        """The number of NaNs in columns, by path; elements of arrays at their array's path."""
        sums: Counter[str] = Counter()
        for path, number in self.tally.nan.items():
            sums[".".join(s for s in self.paths.steps(path) if s is not None)] += number
        return dict(sums)

    def _left_over(self, tokens: Tokens, held: Held) -> tuple[pa.Array, pa.Array]:
        """The columns `_rest` and `_raw`."""
        rest, typed = self._rest(tokens, held)
        rows = np.flatnonzero(tokens.unrepresentable.astype(np.bool_) | ~typed).tolist()
        self.tally.with_rest += len(rest)
        self.tally.with_raw += len(rows)
        raw = {row: tokens.document(row) for row in rows}
        return _sparse(rest, tokens.rows, pa.string()), _sparse(raw, tokens.rows, pa.binary())

    def _rest(self, tokens: Tokens, held: Held) -> tuple[dict[int, str], npt.NDArray[np.bool_]]:
        """The rows that have a `_rest`, and for each row whether it holds all that is left."""
        objects: dict[int, dict[str, Any]] = {}
        typed = np.ones(tokens.rows, np.bool_)
        document, last = b"", -1
        for entry in held.left.tolist():
            row = int(tokens.row[entry])
            if row != last:
                document, last = tokens.document(row), row
            at = int(tokens.at[entry] - tokens.starts[row])
            try:
                value = extended(document, int(tokens.tag[entry]), at)
            except UnrepresentableError:
                typed[row] = False
                continue
            _put(objects.setdefault(row, {}), self.paths.steps(int(tokens.path[entry])), value)
        return {
            row: json.dumps(content, ensure_ascii=False, separators=(",", ":"))
            for row, content in objects.items()
        }, typed


def _put(content: dict[str, Any], steps: list[str | None], value: Any) -> None:
    *parents, name = steps
    for parent in parents:
        content = content.setdefault(str(parent), {})
    if name is not None:
        content[name] = value


def _sparse(values: dict[int, Any], rows: int, type_: pa.DataType) -> pa.Array:
    """An array with these values in these rows, NULL in all others."""
    if not values:
        return pa.nulls(rows, type_)
    places = np.zeros(rows, np.int64)
    absent = np.ones(rows, np.bool_)
    where = np.fromiter(values, np.int64, len(values))
    places[where] = np.arange(len(values))
    absent[where] = False
    return pa.array(list(values.values()), type_).take(pa.array(places, mask=absent))


class _Gather:
    """Builds the arrays of one batch. A slot is a row, or an element of a list. NaNs are added to
    `nan`, by path.
    """

    def __init__(self, tokens: Tokens, held: Held, nan: Counter[int]) -> None:
        self._tokens = tokens
        self._held = held
        self._nan = nan
        self._slot = tokens.row.copy()

    def top(self, column: Column) -> pa.Array:
        """A column of the table."""
        return self._array(column, self._tokens.rows)

    def _array(self, column: Column, slots: int) -> pa.Array:
        entries = self._held.of(column.node.id)
        valid = np.zeros((slots + 7) // 8, np.uint8)
        match column.kind:
            case Kind.STRUCT:
                return self._struct(column, entries, slots, valid)
            case Kind.LIST:
                return self._list(column, entries, slots, valid)
            case Kind.DECIMAL:
                return self._decimals(column, entries, slots, valid)
            case Kind.STRING | Kind.BINARY | Kind.OBJECT_ID | Kind.UUID | Kind.BINARY3:
                filled, buffers = self._texts(column.kind, entries, slots, valid)
            case _:
                filled, buffers = self._fixed(column, entries, slots, valid)
        return _made(column.field.type, slots, valid, filled, buffers)

    def _fixed(
        self, column: Column, entries: Int32s, slots: int, valid: UInt8s
    ) -> tuple[int, list[Any]]:
        tokens, slot, kind = self._tokens, self._slot, column.kind
        if kind == Kind.BOOL:
            bits = np.zeros_like(valid)
            known = (tokens.data, tokens.at, tokens.kind, int(kind), entries, slot, bits, valid)
            return fill.bools(*known), [bits]
        types = (tokens.data, tokens.at, tokens.tag, tokens.kind)
        if kind == Kind.DOUBLE:
            numbers = np.zeros(slots, np.float64)
            filled = fill.doubles(*types, int(kind), entries, slot, numbers, valid)
            if nan := int(np.isnan(numbers).sum()):
                self._nan[column.node.id] += nan
            return filled, [numbers]
        out = np.zeros(slots, np.int64)
        if kind == Kind.INT:
            return fill.integers(*types, int(kind), entries, slot, out, valid), [out]
        where = (tokens.data, tokens.at, tokens.kind)
        return fill.dates(*where, int(kind), entries, slot, out, valid), [out]

    def _texts(
        self, kind: Kind, entries: Int32s, slots: int, valid: UInt8s
    ) -> tuple[int, list[Any]]:
        offsets = np.empty(slots + 1, np.int32)
        where = (self._tokens.data, self._tokens.at, self._tokens.kind, int(kind))
        if kind in _DIGITS:
            begin, size, width = _DIGITS[kind]
            out = np.empty(width * len(entries), np.uint8)
            filled = fill.digits(*where, begin, size, entries, self._slot, offsets, out, valid)
        else:
            spare = 1 if kind == Kind.STRING else 0
            out = np.empty(fill.size_of_all(*where, spare, entries), np.uint8)
            filled = fill.strings(*where, spare, entries, self._slot, offsets, out, valid)
        return filled, [offsets, out]

    def _decimals(self, column: Column, entries: Int32s, slots: int, valid: UInt8s) -> pa.Array:
        tokens, type_ = self._tokens, column.field.type
        out = np.zeros((slots, 2), np.int64)
        filled = fill.decimals(
            tokens.data, tokens.at, tokens.tag, tokens.kind, type_.scale, type_.precision,
            entries, self._slot, out, valid,
        )  # fmt: skip
        return _made(type_, slots, valid, filled, [out])

    def _struct(self, column: Column, entries: Int32s, slots: int, valid: UInt8s) -> pa.Array:
        """Present where a member is; as an element of a list also where it has none."""
        members = []
        for child in column.children:
            fill.inherit(self._tokens.owner, self._held.of(child.node.id), self._slot)
            members.append(self._array(child, slots))
        if column.node.name is None:
            fill.documents(self._tokens.kind, entries, self._slot, valid)
        for member in members:
            bitmap = member.buffers()[0]
            valid |= np.uint8(255) if bitmap is None else np.frombuffer(bitmap, np.uint8)
        return _made(column.field.type, slots, valid, None, [], members)

    def _list(self, column: Column, entries: Int32s, slots: int, valid: UInt8s) -> pa.Array:
        (element,) = column.children
        items = self._held.of(element.node.id)
        offsets = np.empty(slots + 1, np.int32)
        filled = fill.lists(
            self._tokens.owner, self._tokens.kind, int(column.kind), entries, items, self._slot,
            offsets, valid,
        )  # fmt: skip
        elements = self._array(element, len(items))
        return _made(column.field.type, slots, valid, filled, [offsets], [elements])


def _made(
    type_: pa.DataType,
    slots: int,
    valid: UInt8s,
    filled: int | None,
    buffers: list[Any],
    children: Sequence[pa.Array] = (),
) -> pa.Array:
    """The Arrow array of these buffers; `filled` of its slots are valid (None: not known)."""
    bitmap = None if filled == slots else pa.py_buffer(valid)
    held = [bitmap, *map(pa.py_buffer, buffers)]
    nulls = -1 if filled is None else slots - filled
    return pa.Array.from_buffers(type_, slots, held, nulls, children=list(children))
