-- The days of native histograms in a Prometheus rollup, for a trend's input
--
-- grain:      one row a series and day: its first and last sample, a list of its growth
-- inputs:     {hours}, the rows of histogram_hours in their order
--
-- As in counter_rolled: the row before is the series' hour before.
SELECT
    day,
    series_id,
    any_value(metric) AS metric,
    min(first_ts) AS first_ts,
    arg_min("first", first_ts) AS "first",
    arg_max("last", first_ts) AS "last",
    flatten(list(
        list_concat(grown, if(follows, histogram_growth(before, "first"), []))
    )) AS grown{columns}
FROM (
    SELECT
        *,
        coalesce(
            lag(series_id) OVER () = series_id AND lag(day) OVER () = day, false
        ) AS follows,
        lag("last") OVER () AS before,
        lag(first_ts) OVER () AS ts_before
    FROM ({hours})
)
GROUP BY day, series_id
HAVING if(
    count(*) FILTER (NOT follows) = 1 AND bool_and(NOT follows OR first_ts > ts_before),
    true,
    CAST(error('a rollup is not sorted by series and hour: ' || day) AS BOOLEAN)
)
