-- Requests a day, how many failed, and how long they took
--
-- grain:      one row a UTC day that has requests
-- inputs:     usage_analytics
-- parameters: from_day, to_day (DATE, half-open)
-- x:          day
-- panel:      requests a day | bars | requests
-- panel:      latency, ms | lines | p50_latency_ms, p95_latency_ms, p99_latency_ms
--
-- Latency is that of all requests, failed ones too; percentiles are exact, by interpolation.
WITH requests AS (
    FROM usage_analytics_between($from_day, $to_day)
    -- A quarter without a failure has no column of this name.
    UNION ALL BY NAME SELECT NULL AS error WHERE false
)
SELECT
    day,
    count(*) AS requests,
    count(error) AS errors,
    count(DISTINCT "userId") AS users,
    quantile_cont(response."totalLatencyMs", 0.50) AS p50_latency_ms,
    quantile_cont(response."totalLatencyMs", 0.95) AS p95_latency_ms,
    quantile_cont(response."totalLatencyMs", 0.99) AS p99_latency_ms
FROM requests
GROUP BY day
ORDER BY day;
