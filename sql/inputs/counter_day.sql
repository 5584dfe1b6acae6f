-- The same of a day that has no rollup, by its samples
--
-- grain:      one row a series
-- inputs:     {between}, the range macro of the dataset
-- parameters: from_day, to_day: one day; the metrics
SELECT
    any_value(day) AS day,
    series_id,
    any_value(metric) AS metric,
    arg_min(value, ts) AS first,
    min(ts) AS first_ts,
    arg_max(value, ts) AS last,
    coalesce(sum(if(value < before, value, value - before)), 0) AS increase{columns}
FROM (
    SELECT *, lag(value) OVER (PARTITION BY series_id ORDER BY ts) AS before
    FROM {between}($from_day, $to_day)
    WHERE metric IN ({metrics}) AND value IS NOT NULL
)
GROUP BY series_id
