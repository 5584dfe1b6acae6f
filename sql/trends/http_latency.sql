-- Daily HTTP latency percentiles, from histograms
--
-- grain:      one row a UTC day
-- input:      buckets | counter | http_server_requests_seconds_bucket, http_server_request_duration_seconds_bucket, http.server.request.duration_seconds_bucket, http.server.request.duration_bucket
-- column:     buckets.le = le
-- input:      native | histogram | http_server_requests_seconds, http_server_request_duration_seconds, http.server.request.duration_seconds, http.server.request.duration
-- either:     buckets, native
-- parameters: from_day, to_day, every
-- x:          day
-- panel:      latency, ms | lines | p50_ms, p95_ms, p99_ms
--
-- As PromQL's histogram_quantile computes them: linear within a classic histogram's bucket, so as
-- precise as the buckets' bounds; on a logarithmic scale within a native histogram's. Of a period
-- that has both kinds, those that counted more requests; classic ones where both counted the same.
-- Metrics of Spring Boot (Micrometer, with management.metrics.distribution.percentiles-histogram)
-- and of OpenTelemetry.
WITH of_bucket AS (
    SELECT period_start(day, $every, $from_day) AS day, le, sum(increase) AS increase
    FROM buckets
    GROUP BY ALL
),
of_native AS (
    SELECT period_start(day, $every, $from_day) AS day, lower, upper, sum(increase) AS increase
    FROM native
    GROUP BY ALL
),
answers AS (
    SELECT
        day,
        false AS is_native,
        round(sum(increase) FILTER (TRY_CAST(le AS DOUBLE) = CAST('Infinity' AS DOUBLE))) AS requests,
        bucket_quantile(le, increase, 0.50) AS p50,
        bucket_quantile(le, increase, 0.95) AS p95,
        bucket_quantile(le, increase, 0.99) AS p99
    FROM of_bucket
    GROUP BY day
    UNION ALL
    SELECT
        day,
        true,
        round(sum(increase)),
        histogram_quantile(lower, upper, increase, 0.50),
        histogram_quantile(lower, upper, increase, 0.95),
        histogram_quantile(lower, upper, increase, 0.99)
    FROM of_native
    GROUP BY day
)
SELECT
    day,
    CAST(requests AS BIGINT) AS requests,
    round(1000 * p50, 1) AS p50_ms,
    round(1000 * p95, 1) AS p95_ms,
    round(1000 * p99, 1) AS p99_ms
FROM answers
QUALIFY row_number() OVER (PARTITION BY day ORDER BY requests DESC NULLS LAST, is_native) = 1
ORDER BY day;
