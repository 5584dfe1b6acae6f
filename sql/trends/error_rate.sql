-- HTTP answers a day by status, and the share of errors, from the service's own counters
--
-- grain:      one row a UTC day, outcome and status
-- inputs:     http_server_requests
-- parameters: from_day, to_day (DATE, half-open)
-- x:          day
-- series:     status
-- panel:      answers a day | stacked | answers
-- panel:      errors, % of the day's answers | lines | error_percent
--
-- The reset-corrected growth of http_server_requests_seconds_count. The day before from_day
-- is read for the values that the first samples grew from; growth between two samples belongs
-- to the later one's day. error_percent is NULL for outcomes that are no error.
WITH samples AS (
    SELECT day, outcome, status, counter_increase(value, series_id, ts) AS increase
    FROM http_server_requests_between($from_day - 1, $to_day)
    WHERE metric = 'http_server_requests_seconds_count' AND value IS NOT NULL
),
answers AS (
    SELECT day, outcome, status, sum(increase) AS answers
    FROM samples
    WHERE day >= $from_day
    GROUP BY day, outcome, status
)
SELECT
    day,
    outcome,
    status,
    CAST(round(answers) AS BIGINT) AS answers,
    if(
        outcome IN ('CLIENT_ERROR', 'SERVER_ERROR'),
        round(100 * answers / nullif(sum(answers) OVER (PARTITION BY day), 0), 3),
        NULL
    ) AS error_percent
FROM answers
ORDER BY day, status, outcome;
