"""What a system offers to make rollups of its tables.

Belongs here: protocols and the description of a rollup. Does not: any system's rollup, storing
one (lake.rollup).
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, Protocol

if TYPE_CHECKING:
    import pyarrow as pa

ROWS = "day_rows"
"""In SQL: the rows of the partition that a rollup is made from."""
EACH = "[]"
"""In a path to what is compared: every element of the LIST before it."""


@dataclass(frozen=True)
class Shape:
    """What a rollup's rows and columns mean.

    `keys` identify a row, together with the table's labels where `grain` includes them. The columns
    `sums` add up over rows; those of `rows` add up to the number of rows in the table (empty:
    no such columns). `version` counts changes of the rules. `sql_sha256` is that of a file,
    `parameters` are settings that decide on the rows, as JSON has them.
    """

    kind: str
    version: int
    grain: str
    keys: tuple[str, ...]
    measures: tuple[str, ...]
    sums: tuple[str, ...]
    rows: tuple[str, ...] = ()
    sql_sha256: str = ""
    parameters: Mapping[str, Any] = field(default_factory=lambda: MappingProxyType({}))

    def to_json(self) -> dict[str, Any]:
        """For a manifest."""
        described: dict[str, Any] = {
            "kind": self.kind,
            "version": self.version,
            "grain": self.grain,
            "keys": list(self.keys),
            "measures": list(self.measures),
            "sums": list(self.sums),
            "rows": list(self.rows),
        }
        if self.sql_sha256:
            described["sql_sha256"] = self.sql_sha256
        return described | ({"parameters": dict(self.parameters)} if self.parameters else {})


@dataclass(frozen=True)
class Layout:
    """How a rollup is written to Parquet; the fields are those of TableStream."""

    sorted_by: tuple[str, ...] = ()
    encodings: Mapping[str, str] = field(default_factory=lambda: MappingProxyType({}))
    dictionary: tuple[str, ...] = ()
    zstd_levels: Mapping[str, int] = field(default_factory=lambda: MappingProxyType({}))


class Rolling(Protocol):
    """One day's rollup while its table passes, in the table's order.

    The same rows give the same rollup, however they were cut into batches.
    """

    schema: pa.Schema
    layout: Layout

    def add(self, batch: pa.RecordBatch) -> Iterable[pa.RecordBatch]:
        """Takes rows of the table; returns the rollup's rows that are whole."""

    def finish(self) -> Iterable[pa.RecordBatch]:
        """The last rows."""


class Rollup(Protocol):
    """The rollup of one dataset's days, made in one pass over the table's rows."""

    shape: Shape

    def begin(self, schema: pa.Schema) -> Rolling:
        """Begins the rollup of a table with this schema."""

    def statement(self, schema: pa.Schema) -> str:
        """SQL that computes the same rows from `day_rows`, another way: for verification."""

    def compared(self, schema: pa.Schema) -> Mapping[tuple[str, ...], str]:
        """The columns of both, as paths: "" where they have to be equal, else SQL of the scale of
        their rounding, over the stored row `a`.
        """
