"""Fills a day's columns: BSON documents to Arrow record batches.

Belongs here: gathering values into arrays, `_rest` and `_raw`.
Does not: choosing the columns (schema), reading documents (reader).
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pyarrow as pa

from lake.sources.mongo.extended import UnsayableError, extended
from lake.sources.mongo.kinds import Int64s, Kind, Kinds, Values, classify
from lake.sources.mongo.scan import Bools, Node, Paths, Tokens, scan
from lake.sources.mongo.schema import Column, arrow_schema
from lake.sources.mongo.settle import Layout, Settled, settle

_HEX = np.frombuffer("".join(f"{byte:02x}" for byte in range(256)).encode(), np.uint16)


@dataclass
class Tally:
    """What went through a Builder."""

    with_rest: int = 0
    with_raw: int = 0


class Builder:
    """Makes record batches of `schema` out of BSON documents."""

    def __init__(self, paths: Paths, columns: Sequence[Column]) -> None:
        self._paths = paths
        self._columns = tuple(columns)
        self.schema = arrow_schema(self._columns)
        self.tally = Tally()
        parts = [part for column in self._columns for part in column.all()]
        self._kinds = {part.node.id: part.kind for part in parts}
        for node in paths.all():
            # What no column needs is not looked into.
            node.opens_documents = self._kinds.get(node.id) == Kind.STRUCT
            node.opens_arrays = self._kinds.get(node.id) == Kind.LIST
        paths.root.opens_documents = True

    def batch(self, data: bytes, starts: list[int]) -> pa.RecordBatch:
        """One row a document, in their order."""
        tokens = scan(data, starts, self._paths)
        classified = classify(tokens, self._paths)
        chosen = np.array([self._kinds.get(n.id, Kind.NONE) for n in self._paths.all()], np.int8)
        layout = Layout.of(tokens, self._paths)
        settled = settle(tokens, layout, _fits(classified.kind, chosen[tokens.path], layout))
        rest, told = self._rest(tokens, settled)
        raw = [
            tokens.document(row) if untold else None
            for row, untold in enumerate(classified.untold | ~told)
        ]
        self._paths.forget_surplus()
        self.tally.with_rest += sum(text is not None for text in rest)
        self.tally.with_raw += sum(bson is not None for bson in raw)
        gather = _Gather(tokens, classified.kind, settled, len(chosen))
        arrays = [gather.top(column) for column in self._columns]
        fixed = [pa.array(rest, pa.string()), pa.array(raw, pa.binary())]
        return pa.record_batch([*arrays, *fixed], schema=self.schema)

    def _rest(self, tokens: Tokens, settled: Settled) -> tuple[list[str | None], Bools]:
        """Each row's `_rest`, and whether it tells all that is left over."""
        objects: dict[int, dict[str, Any]] = {}
        told = np.ones(tokens.rows, np.bool_)
        nodes = list(self._paths.all())
        for entry in np.flatnonzero(settled.left).tolist():
            row = int(tokens.row[entry])
            try:
                value = extended(tokens.data, int(tokens.tag[entry]), int(tokens.at[entry]))
            except UnsayableError:
                told[row] = False
                continue
            _put(objects.setdefault(row, {}), nodes[tokens.path[entry]], value)
        rest: list[str | None] = [None] * tokens.rows
        for row, content in objects.items():
            rest[row] = json.dumps(content, ensure_ascii=False, separators=(",", ":"))
        return rest, told


def _put(content: dict[str, Any], node: Node, value: Any) -> None:
    *parents, name = node.steps
    for parent in parents:
        content = content.setdefault(str(parent), {})
    if name is not None:
        content[name] = value


def _fits(kind: Kinds, chosen: Kinds, layout: Layout) -> Bools:
    """Which values their column holds, looked at one by one."""
    fits: Bools = (kind == chosen) & (kind != Kind.NONE)
    fits |= layout.is_item & (chosen != Kind.NONE) & (kind == Kind.NULL)
    fits |= layout.is_item & (chosen == Kind.STRUCT) & (kind == Kind.EMPTY)
    return fits


class _Gather:
    """Builds the arrays of one batch. A slot is a row, or an element of a list."""

    def __init__(self, tokens: Tokens, kind: Kinds, settled: Settled, paths: int) -> None:
        self._tokens = tokens
        self._kind = kind
        self._values = Values(tokens.data)
        held = np.flatnonzero(settled.held)
        self._order = held[np.argsort(tokens.path[held], kind="stable")]
        self._bounds = np.searchsorted(tokens.path[self._order], np.arange(paths + 1))
        self._slot = tokens.row.astype(np.int64)

    def top(self, column: Column) -> pa.Array:
        """A column of the table."""
        return self._array(column, self._tokens.rows)

    def _entries(self, column: Column) -> Int64s:
        path = column.node.id
        return self._order[self._bounds[path] : self._bounds[path + 1]]

    def _array(self, column: Column, slots: int) -> pa.Array:
        entries = self._entries(column)
        if column.kind == Kind.STRUCT:
            return self._struct(column, entries, slots)
        entries = entries[self._kind[entries] == column.kind]  # not a list's null elements
        if column.kind == Kind.LIST:
            return self._list(column, entries, slots)
        return self._plain(column, entries, slots)

    def _struct(self, column: Column, entries: Int64s, slots: int) -> pa.Array:
        members = []
        for child in column.children:
            mine = self._entries(child)
            self._slot[mine] = self._slot[self._tokens.owner[mine]]
            members.append(self._array(child, slots))
        present = np.zeros(slots, np.bool_)
        if column.node.name is None:
            present[self._slot[entries[self._kind[entries] != Kind.NULL]]] = True
        for member in members:
            present |= member.is_valid().to_numpy(zero_copy_only=False)
        fields = [child.field for child in column.children]
        return pa.StructArray.from_arrays(members, fields=fields, mask=pa.array(~present))

    def _list(self, column: Column, entries: Int64s, slots: int) -> pa.Array:
        items = self._entries(column.children[0])
        self._slot[items] = np.arange(len(items))
        owners = np.searchsorted(entries, self._tokens.owner[items])
        lengths = np.zeros(slots, np.int64)
        lengths[self._slot[entries]] = np.bincount(owners, minlength=len(entries))
        offsets = np.concatenate([[0], np.cumsum(lengths)]).astype(np.int32)
        elements = self._array(column.children[0], len(items))
        absent = np.ones(slots, np.bool_)
        absent[self._slot[entries]] = False
        return pa.ListArray.from_arrays(
            pa.array(offsets), elements, type=column.field.type, mask=pa.array(absent)
        )

    def _plain(self, column: Column, entries: Int64s, slots: int) -> pa.Array:
        values = self._packed(column, entries)
        if len(entries) == slots:
            return values
        source = np.zeros(slots, np.int64)
        absent = np.ones(slots, np.bool_)
        where = self._slot[entries]
        source[where] = np.arange(len(entries))
        absent[where] = False
        return values.take(pa.array(source, mask=absent))

    def _packed(self, column: Column, entries: Int64s) -> pa.Array:
        """The values without gaps."""
        at, values = self._tokens.at[entries], self._values
        match column.kind:
            case Kind.INT:
                return pa.array(self._integers(entries), pa.int64())
            case Kind.DOUBLE:
                return pa.array(values.doubles(at), pa.float64())
            case Kind.DATE:
                return pa.array(values.integers(at, 8), pa.int64()).cast(column.field.type)
            case Kind.BOOL:
                return pa.array(values.fixed(at, 1)[:, 0] == 1, pa.bool_())
            case Kind.STRING:
                return values.strings(at).cast(pa.string())
            case Kind.BINARY:
                return values.binaries(at)
            case Kind.OBJECT_ID:
                return _hexadecimal(values.fixed(at, 12))
            case Kind.DECIMAL:
                return self._decimals(column, entries)
        raise AssertionError(column.kind)

    def _integers(self, entries: Int64s) -> Int64s:
        at, wide = self._tokens.at[entries], self._tokens.tag[entries] == 0x12
        numbers = np.empty(len(entries), np.int64)
        numbers[wide] = self._values.integers(at[wide], 8)
        numbers[~wide] = self._values.integers(at[~wide], 4)
        return numbers

    def _decimals(self, column: Column, entries: Int64s) -> pa.Array:
        parts = self._values.decimals(self._tokens.at[entries])
        low = np.where(parts.negative, ~parts.low + np.uint64(1), parts.low)
        carry = (parts.low == 0).astype(np.uint64)
        high = np.where(parts.negative, ~parts.high + carry, parts.high)
        buffer = pa.py_buffer(np.stack([low, high], axis=1).tobytes())
        return pa.Array.from_buffers(column.field.type, len(entries), [None, buffer])


def _hexadecimal(ids: Any) -> pa.Array:
    text = _HEX[ids].tobytes()
    offsets = np.arange(len(ids) + 1, dtype=np.int32) * 24
    buffers = [None, pa.py_buffer(offsets), pa.py_buffer(text)]
    return pa.Array.from_buffers(pa.string(), len(ids), buffers)
