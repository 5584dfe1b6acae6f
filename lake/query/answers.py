"""What a query returns.

Belongs here: tables as Python values and as Arrow. Does not: running a query (session).
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import pyarrow as pa


@dataclass(frozen=True)
class Answer:
    """A table: column names, DuckDB's names of their types, rows as Python values.

    Rows of `Lake.ask` can be taken once, and before the next question. `notes`: what the
    answer lacks, one sentence each (lake.query.notes); `left_out`: those of them about values.
    """

    columns: tuple[str, ...]
    types: tuple[str, ...]
    rows: Iterable[tuple[Any, ...]]
    notes: tuple[str, ...] = ()
    left_out: tuple[str, ...] = ()


@dataclass(frozen=True)
class ArrowAnswer:
    """An answer as Arrow record batches, which can be taken once, before the next question.

    `columns`, `types`, `notes` as of `Answer`. Names of the schema may come twice.
    """

    columns: tuple[str, ...]
    types: tuple[str, ...]
    schema: pa.Schema
    batches: Iterator[pa.RecordBatch]
    notes: tuple[str, ...] = ()
