-- The trend http_requests for Spark: without native histograms
--
-- grain:      one row a UTC day
-- inputs:     counted, the trend's input
-- parameters: from_day, every
SELECT
    period_start(day, $every, $from_day) AS day,
    CAST(round(sum(increase)) AS BIGINT) AS requests,
    round(sum(increase) / (count(DISTINCT day) * 86400), 6) AS per_second
FROM counted
GROUP BY period_start(day, $every, $from_day)
ORDER BY 1;
