"""A rollup's rows computed from the stored samples by DuckDB: what `verify` compares with.

Belongs here: the statement. Does not: the rules (rollup), which share no code with it.
"""

from __future__ import annotations

from lake.systems.rollup import ROWS


def statement() -> str:
    """The columns without labels, one row for each series and hour; reads `day_rows`."""
    grown = _grown("value", "value", "before")
    counted = _grown("histogram.count", "histogram.count", "before_h.count")
    added = _grown("histogram.sum", "histogram.count", "before_h.count", "before_h.sum")
    return f"""
    WITH samples AS (
        SELECT
            date_trunc('hour', ts) AS hour, series_id, metric, ts, value, nan, histogram,
            lag(value IGNORE NULLS) OVER one AS before,
            lag(histogram IGNORE NULLS) OVER one AS before_h
        FROM {ROWS}
        WINDOW one AS (PARTITION BY series_id, date_trunc('hour', ts) ORDER BY ts)
    )
    SELECT
        hour,
        series_id,
        any_value(metric) AS metric,
        count(value) AS samples,
        arg_min(value, ts) FILTER (value IS NOT NULL) AS first,
        min(ts) FILTER (value IS NOT NULL) AS first_ts,
        arg_max(value, ts) FILTER (value IS NOT NULL) AS last,
        max(ts) FILTER (value IS NOT NULL) AS last_ts,
        min(value) AS min,
        max(value) AS max,
        sum(value) AS sum,
        {grown} AS increase,
        count(*) FILTER (value < before) AS resets,
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
            resets: count(*) FILTER (histogram.count < before_h.count)
        }} END AS histogram
    FROM samples
    GROUP BY hour, series_id
    """  # noqa: S608


def _grown(value: str, decides: str, before: str, from_value: str = "") -> str:
    """What the values grew by: all of one that comes behind a reset."""
    was = from_value or before
    return (
        f"coalesce(sum(CASE WHEN {decides} < {before} THEN {value} "
        f"WHEN {value} = {was} THEN 0 ELSE {value} - {was} END), "
        f"CASE WHEN count({value}) > 0 THEN 0 END)"
    )
