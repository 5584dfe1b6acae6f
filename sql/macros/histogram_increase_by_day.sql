-- How much native histograms grew each day, bucket by bucket, by the rollup of their dataset
--
-- grain:      one row a series, day and bucket that grew: day, series_id, metric, the labels,
--             lower, upper, increase
-- parameters: of_dataset     the dataset's name, a text
--             of_metric      the metric's name, a text
--             from_day       the first day, a DATE
--             to_day         the day after the last one, a DATE
--
-- The sum of histogram_increase_by_hour: exact over the edges of hours and days.
--
--     SELECT day, histogram_quantile(lower, upper, increase, 0.95) AS p95
--     FROM histogram_increase_by_day(
--         'http_server_requests', 'http_server_requests_seconds',
--         DATE '2026-07-01', DATE '2026-10-01') GROUP BY day
CREATE OR REPLACE MACRO histogram_increase_by_day(of_dataset, of_metric, from_day, to_day)
AS TABLE
WITH of_series AS (
    SELECT DISTINCT ON (series_id)
        series_id,
        metric,
        * EXCLUDE (
            day, hour, series_id, metric, samples, first, first_ts, last, last_ts, min, max, sum,
            increase, resets, stale, nans, histograms, histogram
        )
    FROM query(
        'FROM "' || replace(of_dataset, '"', '""') || '_hourly_between"(DATE '''
        || CAST(from_day AS DATE) || ''', DATE ''' || CAST(to_day AS DATE) || ''')'
    )
    WHERE metric = of_metric AND histograms > 0
),
of_buckets AS (
    SELECT day, series_id, grown.lower, grown.upper, sum(grown.increase) AS increase
    FROM (
        SELECT
            day,
            series_id,
            unnest(list_concat(
                coalesce(
                    histogram.bucket_increase,
                    error('an earlier version made the rollup without buckets: ' || day)
                ),
                if(
                    before IS NOT NULL OR histogram.first_ts > earliest,
                    histogram_growth(before, first_one),
                    []
                )
            )) AS grown
        FROM (
            SELECT
                day,
                series_id,
                histogram,
                {count: histogram.first_count, buckets: histogram.first_buckets} AS first_one,
                lag({count: histogram.last_count, buckets: histogram.last_buckets})
                    OVER (PARTITION BY series_id ORDER BY hour) AS before,
                min(histogram.first_ts) OVER () AS earliest
            FROM query(
                'FROM "' || replace(of_dataset, '"', '""') || '_hourly_between"(DATE '''
                || (CAST(from_day AS DATE) - 1) || ''', DATE ''' || CAST(to_day AS DATE) || ''')'
            )
            WHERE metric = of_metric AND histogram IS NOT NULL
        )
        WHERE day >= CAST(from_day AS DATE)
    )
    WHERE grown.increase != 0
    GROUP BY ALL
)
SELECT day, of_series.*, lower, upper, increase
FROM of_buckets JOIN of_series USING (series_id);
