-- A trend's input `counter`: growth by the rows of a rollup
--
-- grain:      one row a series and day: its day, the trend's columns, increase
-- inputs:     {rows}, days of series, from the day before from_day on; {query_starts}, as
--             query_start_of takes them
-- parameters: from_day
SELECT day, series_id, metric, "-grown" AS increase{columns}
FROM (
    SELECT
        *,
        hour_growth(
            first, first_ts, last, increase, series_id, query_starts := {query_starts}
        ) AS "-grown"
    FROM ({rows}) AS series_days
)
WHERE day >= $from_day
