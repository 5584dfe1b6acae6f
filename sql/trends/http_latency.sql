-- Daily HTTP latency percentiles, from histogram buckets
--
-- grain:      one row a UTC day
-- input:      buckets | counter | http_server_requests_seconds_bucket, http_server_request_duration_seconds_bucket, http.server.request.duration_seconds_bucket, http.server.request.duration_bucket
-- column:     buckets.le = le
-- parameters: from_day, to_day, every
-- x:          day
-- panel:      latency, ms | lines | p50_ms, p95_ms, p99_ms
--
-- As PromQL's histogram_quantile computes them: linear within a bucket, so as precise as the
-- buckets' bounds. Metrics of Spring Boot (Micrometer, with
-- management.metrics.distribution.percentiles-histogram) and of OpenTelemetry.
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
