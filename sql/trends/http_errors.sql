-- Daily HTTP 4xx and 5xx responses, and their share
--
-- grain:      one row a UTC day
-- input:      counted | counter | http_server_requests_seconds_count, http_server_request_duration_seconds_count, http.server.request.duration_seconds_count, http.server.request.duration_count
-- column:     counted.status = status, http_response_status_code, http.response.status_code, http_status_code
-- input:      native | histogram | http_server_requests_seconds, http_server_request_duration_seconds, http.server.request.duration_seconds, http.server.request.duration
-- column:     native.status = status, http_response_status_code, http.response.status_code, http_status_code
-- optional:   counted.job = job
-- optional:   counted.instance = instance
-- optional:   native.job = job
-- optional:   native.instance = instance
-- either:     counted, native
-- parameters: from_day, to_day, every
-- x:          day
-- panel:      errors a day | stacked | client_errors, server_errors
-- panel:      server errors, % of requests | lines | server_error_percent
--
-- Metrics of Spring Boot (Micrometer) and of OpenTelemetry, with and without its names in UTF-8.
-- A native histogram counts, too: that of a target which on that day has no such counter.
WITH requests AS (
    SELECT day, status, increase FROM counted
    UNION ALL
    SELECT day, status, increase FROM native
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
    CAST(round(coalesce(sum(increase) FILTER (status LIKE '4%'), 0)) AS BIGINT) AS client_errors,
    CAST(round(coalesce(sum(increase) FILTER (status LIKE '5%'), 0)) AS BIGINT) AS server_errors,
    round(
        100 * coalesce(sum(increase) FILTER (status LIKE '4%'), 0) / nullif(sum(increase), 0), 3
    ) AS client_error_percent,
    round(
        100 * coalesce(sum(increase) FILTER (status LIKE '5%'), 0) / nullif(sum(increase), 0), 3
    ) AS server_error_percent
FROM requests
GROUP BY ALL
ORDER BY ALL;
