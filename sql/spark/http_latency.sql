-- The trend http_latency for Spark: by classic histograms alone
--
-- grain:      one row a UTC day
-- inputs:     buckets, the trend's input
-- parameters: from_day, every
WITH of_bucket AS (
    SELECT period_start(day, $every, $from_day) AS day, le, sum(increase) AS increase
    FROM buckets
    GROUP BY ALL
)
SELECT
    day,
    CAST(round(max(increase) FILTER (le = '+Inf')) AS BIGINT) AS requests,
    round(1000 * bucket_quantile(le, increase, 0.50), 1) AS p50_ms,
    round(1000 * bucket_quantile(le, increase, 0.95), 1) AS p95_ms,
    round(1000 * bucket_quantile(le, increase, 0.99), 1) AS p99_ms
FROM of_bucket
GROUP BY day
ORDER BY day;
