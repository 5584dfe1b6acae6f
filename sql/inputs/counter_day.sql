-- The same of days that have no rollup, by their samples
--
-- grain:      one row a series and day
-- inputs:     {between}, the range macro of the dataset
-- parameters: from_day, to_day: these days; the metrics
--
-- As in counter_rolled: a table's object is sorted by series and time.
SELECT
    day,
    series_id,
    any_value(metric) AS metric,
    arg_min(value, ts) AS "first",
    min(ts) AS first_ts,
    arg_max(value, ts) AS "last",
    coalesce(sum(if(value < before, value, value - before)) FILTER (follows), 0) AS increase{columns}
FROM (
    SELECT
        *,
        coalesce(
            lag(series_id) OVER () = series_id AND lag(day) OVER () = day, false
        ) AS follows,
        lag(value) OVER () AS before,
        lag(ts) OVER () AS ts_before
    FROM (
        FROM {between}($from_day, $to_day)
        WHERE metric IN ({metrics}) AND value IS NOT NULL
    )
)
GROUP BY day, series_id
HAVING if(
    count(*) FILTER (NOT follows) = 1 AND bool_and(NOT follows OR ts > ts_before),
    true,
    CAST(error('a table is not sorted by series and time: ' || day) AS BOOLEAN)
)
