-- A trend's input `histogram`: growth of native histograms, bucket by bucket
--
-- grain:      one row a series, day and bucket that grew: its day, the trend's columns, lower, upper,
--             increase
-- inputs:     {rows}, days of series, from the day before from_day on; {query_starts}, as
--             query_start_of takes them
-- parameters: from_day
--
-- As in histogram_increase_by_day: from one day's last sample to the next one's first, too.
SELECT day, series_id, metric{columns}, bucket.lower, bucket.upper, sum(bucket.increase) AS increase
FROM (
    SELECT
        *,
        unnest(list_concat(
            grown,
            if(
                before IS NOT NULL OR is_birth(first_ts, earliest),
                histogram_growth(before, "first"),
                []
            )
        )) AS bucket
    FROM (
        SELECT
            *,
            lag("last") OVER (PARTITION BY series_id ORDER BY first_ts) AS before,
            min(first_ts) OVER (PARTITION BY query_start_of({query_starts}, first_ts)) AS earliest
        FROM ({rows}) AS series_days
    )
    WHERE day >= $from_day
)
WHERE bucket.increase != 0
GROUP BY ALL
