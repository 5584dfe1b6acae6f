-- The native histograms of a Prometheus rollup, for a trend's input
--
-- grain:      one row a series and hour
-- inputs:     {hourly}, the range macro of the rollup; {first} and {end} of a part of the range
-- parameters: from_day, to_day, the metrics
SELECT
    day,
    series_id,
    metric,
    histogram.first_ts AS first_ts,
    {count: histogram.first_count, buckets: histogram.first_buckets} AS "first",
    {count: histogram.last_count, buckets: histogram.last_buckets} AS "last",
    coalesce(
        histogram.bucket_increase,
        error('an earlier version made the rollup without buckets: ' || day)
    ) AS grown{columns}
FROM {hourly}({first}, {end})
WHERE metric IN ({metrics}) AND histogram IS NOT NULL
