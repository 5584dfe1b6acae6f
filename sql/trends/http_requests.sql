-- Daily HTTP requests, and the average rate
--
-- grain:      one row a UTC day
-- input:      counted | counter | http_server_requests_seconds_count, http_server_request_duration_seconds_count, http.server.request.duration_seconds_count, http.server.request.duration_count
-- input:      native | histogram | http_server_requests_seconds, http_server_request_duration_seconds, http.server.request.duration_seconds, http.server.request.duration
-- optional:   counted.job = job
-- optional:   counted.instance = instance
-- optional:   native.job = job
-- optional:   native.instance = instance
-- either:     counted, native
-- parameters: from_day, to_day, every
-- x:          day
-- panel:      requests a day | bars | requests
-- panel:      requests a second | lines | per_second
--
-- Metrics of Spring Boot (Micrometer) and of OpenTelemetry, with and without its names in UTF-8.
-- Of a day without samples nothing is known: a longer period's per_second is that of its other
-- days.
-- A native histogram counts, too: that of a target which on that day has no such counter.
WITH requests AS (
    SELECT day, increase FROM counted
    UNION ALL
    SELECT day, increase FROM native
    WHERE NOT EXISTS (
        SELECT 1 FROM counted
        WHERE counted.day = native.day
        AND counted.job IS NOT DISTINCT FROM native.job
        AND counted.instance IS NOT DISTINCT FROM native.instance
    )
)
SELECT
    period_start(day, $every, $from_day) AS day,
    CAST(round(sum(increase)) AS BIGINT) AS requests,
    round(sum(increase) / (count(DISTINCT day) * 86400), 6) AS per_second
FROM requests
GROUP BY period_start(day, $every, $from_day)
ORDER BY 1;
