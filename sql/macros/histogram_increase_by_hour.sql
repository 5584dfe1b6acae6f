-- How much native histograms grew each hour, bucket by bucket, by the rollup of their dataset
--
-- grain:      one row a series, hour and bucket that grew: day, hour, series_id, metric, labels,
--             lower, upper, increase
-- parameters: of_dataset     the dataset's name, a text
--             of_metric      the metric's name, a text
--             from_day       the first day, a DATE
--             to_day         the day after the last one, a DATE
--
-- Exact: no extrapolation, resets and the growth from hour to hour included, as increase_by_hour
-- has it of counters. The day before from_day is read, too. After a change of resolution, buckets
-- of one hour may overlap; histogram_quantile merges them.
CREATE OR REPLACE MACRO histogram_increase_by_hour(of_dataset, of_metric, from_day, to_day)
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
    SELECT day, hour, series_id, grown.lower, grown.upper, sum(grown.increase) AS increase
    FROM (
        SELECT
            day,
            hour,
            series_id,
            unnest(list_concat(
                coalesce(
                    histogram.bucket_increase,
                    error('an earlier version made the rollup without buckets: ' || day)
                ),
                if(
                    before IS NOT NULL OR is_birth(histogram.first_ts, earliest),
                    histogram_growth(before, first_one),
                    []
                )
            )) AS grown
        FROM (
            SELECT
                day,
                hour,
                series_id,
                histogram,
                {count: histogram.first_count, buckets: histogram.first_buckets} AS first_one,
                lag({count: histogram.last_count, buckets: histogram.last_buckets})
                    OVER (PARTITION BY series_id ORDER BY hour) AS before,
                min(histogram.first_ts) OVER (
                    PARTITION BY query_start_of(query_starts_of(of_dataset), histogram.first_ts)
                ) AS earliest
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
SELECT day, hour, of_series.*, lower, upper, increase
FROM of_buckets JOIN of_series USING (series_id);
