"""A rollup's rows computed from the stored samples by DuckDB: what `verify` compares with.

Belongs here: the statement. Does not: the rules (hourly), which share no code with it.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from lake.query.kinds import quoted_name
from lake.systems.rollup import ROWS

if TYPE_CHECKING:
    from lake.systems.rollup_labels import RowLabels

# Names that no label's column has.
_BEFORE, _BEFORE_H, _RESET = '"|before"', '"|before_h"', '"|reset"'
_ONE = "PARTITION BY series_id, hour ORDER BY"


def statement(labels: RowLabels) -> str:
    """One row for each series and hour, of these labels; reads `day_rows`."""
    names = [quoted_name(label) for label in labels.own]
    listed = "".join(f"{name}, " for name in names)
    kept = "".join(f"any_value({name}) AS {name}, " for name in names)
    counted = _grown("histogram.count", _RESET, f"{_BEFORE_H}.count")
    added = _grown("histogram.sum", _RESET, f"{_BEFORE_H}.sum")
    return f"""
    WITH ordered AS (
        SELECT
            date_trunc('hour', ts) AS hour, series_id, metric, ts, value, nan, histogram, {listed}
            lag(value IGNORE NULLS) OVER one AS {_BEFORE},
            lag(histogram IGNORE NULLS) OVER one AS {_BEFORE_H}
        FROM {ROWS}
        WINDOW one AS (PARTITION BY series_id, date_trunc('hour', ts) ORDER BY ts)
    ),
    samples AS (
        SELECT *, histogram IS NOT NULL AND histogram_reset({_BEFORE_H}, histogram) AS {_RESET}
        FROM ordered
    ),
    {_increases()},
    maps AS ({labels.maps_by(ROWS, "series_id")})
    SELECT grouped.*, maps.labels FROM (SELECT
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
        {_grown("value", f"value < {_BEFORE}", _BEFORE)} AS increase,
        count(*) FILTER (value < {_BEFORE}) AS resets,
        count(*) FILTER (nan = 'stale') AS stale,
        count(*) FILTER (nan = 'nan') AS nans,
        count(histogram) AS histograms,
        CASE WHEN count(histogram) > 0 THEN {{
            samples: count(histogram),
            first_ts: min(ts) FILTER (histogram IS NOT NULL),
            last_ts: max(ts) FILTER (histogram IS NOT NULL),
            first_count: {_at("min", "count")},
            last_count: {_at("max", "count")},
            first_sum: {_at("min", "sum")},
            last_sum: {_at("max", "sum")},
            count_increase: {counted},
            sum_increase: {added},
            resets: count(*) FILTER ({_RESET}),
            first_buckets: arg_min(histogram.buckets, ts) FILTER (histogram IS NOT NULL),
            last_buckets: arg_max(histogram.buckets, ts) FILTER (histogram IS NOT NULL),
            bucket_increase: coalesce(any_value(increases), [])
        }} END AS histogram
    FROM samples LEFT JOIN increases USING (series_id, hour)
    GROUP BY hour, series_id) AS grouped JOIN maps USING (series_id)
    """  # noqa: S608


def _increases() -> str:
    """Of each series and hour the growth by bucket, those that overlap as one."""
    return f"""
    grown AS (
        SELECT series_id, hour, unnest(histogram_growth({_BEFORE_H}, histogram)) AS bucket
        FROM samples
        WHERE {_BEFORE_H} IS NOT NULL AND histogram IS NOT NULL
    ),
    by_bounds AS (
        SELECT series_id, hour, bucket.lower, bucket.upper, sum(bucket.increase) AS increase
        FROM grown
        WHERE bucket.increase != 0
        GROUP BY ALL
    ),
    apart AS (
        SELECT *, coalesce(lower >= max(upper) OVER (
            {_ONE} lower, upper ROWS BETWEEN UNBOUNDED PRECEDING AND 1 PRECEDING
        ), true) AS begins
        FROM by_bounds
    ),
    numbered AS (
        SELECT *, count(*) FILTER (begins) OVER ({_ONE} lower, upper) AS number FROM apart
    ),
    merged AS (
        SELECT
            series_id, hour, min(lower) AS lower, max(upper) AS upper, sum(increase) AS increase
        FROM numbered
        GROUP BY series_id, hour, number
    ),
    increases AS (
        SELECT
            series_id,
            hour,
            list({{lower: lower, upper: upper, increase: increase}} ORDER BY lower, upper)
                AS increases
        FROM merged
        GROUP BY series_id, hour
    )"""  # noqa: S608


def _at(end: str, member: str) -> str:
    value = f"arg_{end}(histogram.{member}, ts) FILTER (histogram IS NOT NULL)"
    return f"nullif({value}, 'nan'::DOUBLE)"


def _grown(value: str, is_reset: str, before: str) -> str:
    """What the values grew by: all of one that comes behind a reset."""
    return (
        f"nullif(coalesce(sum(CASE WHEN {is_reset} THEN {value} "
        f"WHEN {value} = {before} AND NOT isnan({value}) THEN 0 "
        f"ELSE {value} - {before} END), "
        f"CASE WHEN count({value}) > 0 THEN 0 END), 'nan'::DOUBLE)"
    )
