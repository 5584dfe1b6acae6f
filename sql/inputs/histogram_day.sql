-- The same of days that have no rollup, by their samples
--
-- grain:      one row a series and day
-- inputs:     {between}, the range macro of the dataset
-- parameters: from_day, to_day: these days; the metrics
--
-- A table's object is sorted by series and time. A sample that equals the one before is left out.
SELECT
    day,
    series_id,
    any_value(metric) AS metric,
    min(ts) AS first_ts,
    arg_min("-sample", ts) AS "first",
    arg_max("-sample", ts) AS "last",
    flatten(list(if("-follows", histogram_growth("-before", "-sample"), []))) AS grown{columns}
FROM (
    SELECT
        *,
        coalesce(
            lag(series_id) OVER () = series_id AND lag(day) OVER () = day, false
        ) AS "-follows",
        lag("-sample") OVER () AS "-before",
        lag(ts) OVER () AS "-ts_before"
    FROM (
        SELECT
            *,
            {
                count: histogram.count,
                buckets: list_transform(
                    histogram.buckets,
                    lambda "-b": {
                        lower: "-b".lower, upper: "-b".upper, count: "-b".count
                    }
                )
            } AS "-sample"
        FROM {between}($from_day, $to_day)
        WHERE metric IN ({metrics}) AND histogram IS NOT NULL
    )
)
WHERE NOT ("-follows" AND ts > "-ts_before" AND "-sample" = "-before")
GROUP BY day, series_id
HAVING if(
    count(*) FILTER (NOT "-follows") = 1 AND bool_and(NOT "-follows" OR ts > "-ts_before"),
    true,
    CAST(error('a table is not sorted by series and time: ' || day) AS BOOLEAN)
)
