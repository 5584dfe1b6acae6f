"""A rollup's rows computed from the stored samples by DuckDB: what `verify` compares with.

Belongs here: the statement. Does not: the rules (rollup), which share no code with it.
"""

from __future__ import annotations

from collections.abc import Sequence

from lake.query.kinds import quoted_name
from lake.systems.rollup import ROWS

_BEFORE, _BEFORE_H = '"|before"', '"|before_h"'  # names that no label's column has


def statement(labels: Sequence[str]) -> str:
    """One row for each series and hour, of the labels these; reads `day_rows`."""
    names = [quoted_name(label) for label in labels]
    listed = "".join(f"{name}, " for name in names)
    kept = "".join(f"any_value({name}) AS {name}, " for name in names)
    grown = _grown("value", "value", _BEFORE)
    counted = _grown("histogram.count", "histogram.count", f"{_BEFORE_H}.count")
    added = _grown("histogram.sum", "histogram.count", f"{_BEFORE_H}.count", f"{_BEFORE_H}.sum")
    return f"""
    WITH samples AS (
        SELECT
            date_trunc('hour', ts) AS hour, series_id, metric, ts, value, nan, histogram, {listed}
            lag(value IGNORE NULLS) OVER one AS {_BEFORE},
            lag(histogram IGNORE NULLS) OVER one AS {_BEFORE_H}
        FROM {ROWS}
        WINDOW one AS (PARTITION BY series_id, date_trunc('hour', ts) ORDER BY ts)
    )
    SELECT
        hour,
        series_id,
        any_value(metric) AS metric,
        {kept}
        count(value) AS samples,
        arg_min(value, ts) FILTER (value IS NOT NULL) AS first,
        min(ts) FILTER (value IS NOT NULL) AS first_ts,
        arg_max(value, ts) FILTER (value IS NOT NULL) AS last,
        max(ts) FILTER (value IS NOT NULL) AS last_ts,
        min(value) AS min,
        max(value) AS max,
        nullif(sum(value), 'nan'::DOUBLE) AS sum,
        {grown} AS increase,
        count(*) FILTER (value < {_BEFORE}) AS resets,
        count(*) FILTER (nan = 'stale') AS stale,
        count(*) FILTER (nan = 'nan') AS nans,
        count(histogram) AS histograms,
        CASE WHEN count(histogram) > 0 THEN {{
            samples: count(histogram),
            first_ts: min(ts) FILTER (histogram IS NOT NULL),
            last_ts: max(ts) FILTER (histogram IS NOT NULL),
            first_count: arg_min(histogram.count, ts) FILTER (histogram IS NOT NULL),
            last_count: arg_max(histogram.count, ts) FILTER (histogram IS NOT NULL),
            first_sum: arg_min(histogram.sum, ts) FILTER (histogram IS NOT NULL),
            last_sum: arg_max(histogram.sum, ts) FILTER (histogram IS NOT NULL),
            count_increase: {counted},
            sum_increase: {added},
            resets: count(*) FILTER (histogram.count < {_BEFORE_H}.count)
        }} END AS histogram
    FROM samples
    GROUP BY hour, series_id
    """  # noqa: S608


def _grown(value: str, decides: str, before: str, from_value: str = "") -> str:
    """What the values grew by: all of one that comes behind a reset."""
    was = from_value or before
    return (
        f"nullif(coalesce(sum(CASE WHEN {decides} < {before} THEN {value} "
        f"WHEN {value} = {was} THEN 0 ELSE {value} - {was} END), "
        f"CASE WHEN count({value}) > 0 THEN 0 END), 'nan'::DOUBLE)"
    )
