"""What the rollup of a day of log lines has: a row for each stream, hour and level.

Belongs here: the rules of its columns, the statement that computes them again. Does not: the pass
over a table's batches (rolling), storing it (lake.rollup), the rule of levels (lake.query.levels).

A line's level is that of the view NAME_with_level; NULL where there is none.

Callers that only need to know which rollup a dataset has import no pyarrow: 0.2 s.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

from lake.systems.loki.config import LokiDataset
from lake.systems.rollup import ROWS, Shape

if TYPE_CHECKING:
    import pyarrow as pa

    from lake.systems.loki.rollup.rolling import StreamsRolling
    from lake.systems.rollup_labels import RowLabels

HEAD = ("hour", "stream_id")
MEASURES = ("lines", "bytes", "first_ts", "last_ts")
_NAMES = frozenset((*HEAD, "level", *MEASURES, "day"))
_OF_TABLE = frozenset(("ts", "ts_ns", "stream_id", "line", "metadata"))


class HourlyStreams:
    """See lake.systems.rollup.Rollup."""

    def __init__(self, level_from: Sequence[str]) -> None:
        self._level_from = tuple(level_from)
        self.shape = Shape(
            kind="loki",
            version=LokiDataset.rollup_rules,
            grain="one row for each stream, hour and level of its lines",
            keys=("stream_id", "hour", "level"),
            measures=MEASURES,
            sums=("lines", "bytes"),
            rows=("lines",),
            parameters={"level_from": list(level_from)} if level_from else {},
        )

    def begin(self, schema: pa.Schema) -> StreamsRolling:
        """See Rollup."""
        from lake.systems.loki.rollup.rolling import StreamsRolling  # noqa: PLC0415

        return StreamsRolling(schema, self._level_from)

    def statement(self, schema: pa.Schema) -> str:
        """See Rollup."""
        from lake.query.kinds import quoted_name  # noqa: PLC0415
        from lake.query.levels import level_expression  # noqa: PLC0415

        level = level_expression(schema.names, self._level_from)
        labels = row_labels(schema)
        kept = "".join(f"any_value(logs.{n}) AS {n}, " for n in map(quoted_name, labels.own))
        return f"""
        WITH maps AS ({labels.maps_by(ROWS, "stream_id")})
        SELECT grouped.*, maps.labels FROM (SELECT
            {kept}
            date_trunc('hour', ts) AS hour, stream_id, {level} AS level,
            count(*) AS lines, CAST(sum(octet_length(encode(line))) AS BIGINT) AS bytes,
            min(ts) AS first_ts, max(ts) AS last_ts
        FROM {ROWS} AS logs GROUP BY ALL) AS grouped JOIN maps USING (stream_id)
        """  # noqa: S608

    def compared(self, schema: pa.Schema) -> Mapping[tuple[str, ...], str]:
        """See Rollup."""
        return {(name,): "" for name in (*row_labels(schema).own, "labels", *MEASURES)}


def row_labels(schema: pa.Schema) -> RowLabels:
    """The labels of a table with this schema."""
    from lake.systems.labels import MAP_COLUMN  # noqa: PLC0415
    from lake.systems.rollup_labels import RowLabels  # noqa: PLC0415

    return RowLabels(schema, {*_OF_TABLE, MAP_COLUMN}, _NAMES)
