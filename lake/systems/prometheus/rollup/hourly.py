"""What the rollup of a day of samples has: a row for each series and hour.

Belongs here: the rules of its columns. Does not: the pass over a table's batches (rolling),
computing it again (sql), storing it (lake.rollup).

A row's numbers are those of its samples with a number: floats that are not NaN, infinities and
-0 included. NaN and stale markers are counted apart, as `nans` and `stale`, and are in nothing
else. `increase` is the growth from each sample to the next one within the hour; a smaller value
is a reset, so all of it is growth. Growth from one hour to the next is the difference of the
later row's `first` and the earlier one's `last`. `sum` and `increase` are NULL where they are
no number (+Inf and -Inf in one hour).

Native histograms are in `histogram` alone: see histograms.

Callers that only need to know which rollup a dataset has import no pyarrow: 0.2 s.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

from lake.systems.prometheus.config import PrometheusDataset
from lake.systems.rollup import Shape

if TYPE_CHECKING:
    import pyarrow as pa

    from lake.systems.prometheus.rollup.rolling import SeriesRolling
    from lake.systems.rollup_labels import RowLabels

KEYS = ("hour", "series_id", "metric")
MEASURES = (
    "samples", "first", "first_ts", "last", "last_ts", "min", "max", "sum", "increase", "resets",
    "stale", "nans", "histograms", "histogram",
)  # fmt: skip
# `lower` and `upper` are columns of macros over rollups.
_NAMES = frozenset((*KEYS, *MEASURES, "day", "lower", "upper"))
_OF_TABLE = frozenset(("ts", "metric", "value", "nan", "series_id", "histogram"))
_COUNTS = ("samples", "stale", "nans", "histograms")

SHAPE = Shape(
    kind="prometheus",
    version=PrometheusDataset.rollup_rules,
    grain="one row for each series and hour with a sample",
    keys=("series_id", "hour"),
    measures=MEASURES,
    sums=(*_COUNTS, "resets", "increase"),
    rows=_COUNTS,
)


class HourlySeries:
    """See lake.systems.rollup.Rollup."""

    shape = SHAPE

    def begin(self, schema: pa.Schema) -> SeriesRolling:
        """See Rollup."""
        from lake.systems.prometheus.rollup.rolling import SeriesRolling  # noqa: PLC0415

        return SeriesRolling(schema)

    def statement(self, schema: pa.Schema) -> str:
        """See Rollup."""
        from lake.systems.prometheus.rollup.sql import statement  # noqa: PLC0415

        return statement(row_labels(schema))

    def compared(self, schema: pa.Schema) -> Mapping[tuple[str, ...], str]:
        """See Rollup."""
        from lake.systems.prometheus.rollup.histograms import compared  # noqa: PLC0415

        measures = (name for name in MEASURES if name != "histogram")
        names = (*row_labels(schema).own, *measures, "metric", "labels")
        exact: list[tuple[str, ...]] = [(name,) for name in names]
        largest = "a.samples * greatest(abs(a.min), abs(a.max))"
        floats = {("sum",): largest, ("increase",): largest}
        return dict.fromkeys(exact, "") | floats | compared()


def row_labels(schema: pa.Schema) -> RowLabels:
    """The labels of a table with this schema."""
    from lake.systems.labels import MAP_COLUMN  # noqa: PLC0415
    from lake.systems.rollup_labels import RowLabels  # noqa: PLC0415

    return RowLabels(schema, {*_OF_TABLE, MAP_COLUMN}, _NAMES)
