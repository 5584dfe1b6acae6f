-- Daily requests, failures and latency
--
-- grain:      one row a UTC day that has requests
-- input:      requests | documents
-- column:     requests.user VARCHAR = userId
-- column:     requests.latency_ms NUMBER = response.totalLatencyMs
-- optional:   requests.error ANY = error
-- parameters: from_day, to_day, every
-- x:          day
-- panel:      requests a day | bars | requests
-- panel:      latency, ms | lines | p50_latency_ms, p95_latency_ms, p99_latency_ms
--
-- Latency is that of all requests, failed ones too; percentiles are exact, by interpolation.
SELECT
    period_start(day, $every, $from_day) AS day,
    count(*) AS requests,
    count(error) AS errors,
    count(DISTINCT "user") AS users,
    quantile_cont(CAST(latency_ms AS DOUBLE), 0.50) AS p50_latency_ms,
    quantile_cont(CAST(latency_ms AS DOUBLE), 0.95) AS p95_latency_ms,
    quantile_cont(CAST(latency_ms AS DOUBLE), 0.99) AS p99_latency_ms
FROM requests
GROUP BY ALL
ORDER BY ALL;
