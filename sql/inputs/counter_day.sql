-- The same of days that have no rollup, by their samples
--
-- grain:      one row a series and day
-- inputs:     {between}, the range macro of the dataset
-- parameters: from_day, to_day: these days; the metrics
--
-- As in samples_increase_by_day: a table's object is sorted by series and time, and only the first
-- and last sample of a series and day and its resets are grouped.
SELECT
    day,
    series_id,
    any_value(metric) AS metric,
    any_value(value) FILTER (NOT "-follows") AS "first",
    any_value(ts) FILTER (NOT "-follows") AS first_ts,
    any_value(value) FILTER (NOT "-followed") AS "last",
    any_value(value) FILTER (NOT "-followed") - any_value(value) FILTER (NOT "-follows")
        + coalesce(sum("-before") FILTER ("-follows" AND value < "-before"), 0) AS increase{columns}
FROM (
    SELECT
        *,
        "-day_before" = day AND "-series_before" = series_id AS "-follows",
        "-day_after" = day AND "-series_after" = series_id AS "-followed"
    FROM (
        SELECT
            *,
            lag(series_id) OVER () AS "-series_before",
            lag(day, 1, DATE '0001-01-01') OVER () AS "-day_before",
            lag(value) OVER () AS "-before",
            lag(ts) OVER () AS "-ts_before",
            lead(series_id) OVER () AS "-series_after",
            lead(day, 1, DATE '0001-01-01') OVER () AS "-day_after"
        FROM (
            FROM {between}($from_day, $to_day)
            WHERE metric IN ({metrics}) AND value IS NOT NULL
        )
    )
    WHERE NOT (
        "-series_before" = series_id AND "-series_after" = series_id
        AND "-day_before" = day AND "-day_after" = day
        AND value >= "-before" AND ts > "-ts_before"
    )
)
GROUP BY day, series_id
HAVING if(
    count(*) FILTER (NOT "-follows") = 1 AND bool_and(NOT "-follows" OR ts > "-ts_before"),
    true,
    CAST(error('a table is not sorted by series and time: ' || day) AS BOOLEAN)
)
