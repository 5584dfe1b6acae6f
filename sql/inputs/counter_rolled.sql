-- The days of a Prometheus rollup, for a trend's input
--
-- grain:      one row a series and day: its growth within the day, first and last value
-- inputs:     {hours}, the rows of counter_hours in their order
--
-- A rollup's object is sorted by series and hour, and rows come in the order of the objects, so
-- the row before is the series' hour before: a window without order costs no sort. Where the
-- order is another one, the statement fails.
SELECT
    day,
    series_id,
    any_value(metric) AS metric,
    arg_min("first", first_ts) AS "first",
    min(first_ts) AS first_ts,
    arg_max("last", first_ts) AS "last",
    sum(
        increase + CASE
            WHEN NOT follows THEN 0
            WHEN "first" < last_before THEN "first"
            ELSE "first" - last_before
        END
    ) AS increase{columns}
FROM (
    SELECT
        *,
        coalesce(
            lag(series_id) OVER () = series_id AND lag(day) OVER () = day, false
        ) AS follows,
        lag("last") OVER () AS last_before,
        lag(first_ts) OVER () AS ts_before
    FROM ({hours})
)
GROUP BY day, series_id
HAVING if(
    count(*) FILTER (NOT follows) = 1 AND bool_and(NOT follows OR first_ts > ts_before),
    true,
    CAST(error('a rollup is not sorted by series and hour: ' || day) AS BOOLEAN)
)
