"""Columns and the MAP `labels` as label sets again, one set per series or stream.

Belongs here: the way back of lake.systems.labels, protobuf of pairs. Does not: samples, lines.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
import pyarrow as pa

from lake.systems.labels import MAP_COLUMN

Pairs = list[tuple[str, str]]
Integers = np.ndarray[Any, np.dtype[np.int64]]


def label_columns(schema: Sequence[str], fixed: frozenset[str]) -> list[str]:
    """The columns of a table that are labels."""
    return [name for name in schema if name not in fixed and name != MAP_COLUMN]


def starts_of(ids: Integers) -> Integers:
    """The rows where another id begins; rows of one id lie together."""
    if not len(ids):
        return np.empty(0, np.int64)
    return np.concatenate([[0], np.flatnonzero(ids[1:] != ids[:-1]) + 1]).astype(np.int64)


def label_sets(batch: pa.RecordBatch, rows: Integers, columns: Sequence[str]) -> Iterator[Pairs]:
    """The labels of these rows, in no order."""
    which = pa.array(rows)
    others = batch[MAP_COLUMN].take(which).to_pylist()
    values = [batch[name].take(which).to_pylist() for name in columns]
    own = zip(*values, strict=True) if values else ((),) * len(rows)
    for texts, rest in zip(own, others, strict=True):
        pairs = [(name, text) for name, text in zip(columns, texts, strict=True) if text]
        yield pairs + rest if rest else pairs
