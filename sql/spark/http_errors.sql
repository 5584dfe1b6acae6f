-- The trend http_errors for Spark: without native histograms
--
-- grain:      one row a UTC day
-- inputs:     counted, the trend's input
-- parameters: from_day, every
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
FROM counted
GROUP BY ALL
ORDER BY ALL;
