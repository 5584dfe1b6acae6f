-- Daily HTTP responses by status, and the error rate, from the service's own counters
--
-- grain:      one row a UTC day, outcome and status
-- input:      counted | counter | http_server_requests_seconds_count
-- column:     counted.outcome = outcome
-- column:     counted.status = status
-- input:      native | histogram | http_server_requests_seconds
-- column:     native.outcome = outcome
-- column:     native.status = status
-- optional:   counted.job = job
-- optional:   counted.instance = instance
-- optional:   native.job = job
-- optional:   native.instance = instance
-- either:     counted, native
-- parameters: from_day, to_day, every
-- x:          day
-- keys:       outcome, status
-- series:     status
-- panel:      answers a day | stacked | answers
-- panel:      errors, % of the day's answers | lines | error_percent
--
-- The reset-corrected growth of http_server_requests_seconds_count. The day before from_day
-- is read for the values that the first samples grew from; growth between two samples belongs
-- to the later one's day. error_percent is NULL for outcomes that are no error.
-- A native histogram counts, too: that of a target which on that day has no such counter.
WITH requests AS (
    SELECT day, outcome, status, increase FROM counted
    UNION ALL
    SELECT day, outcome, status, increase FROM native
    WHERE NOT EXISTS (
        SELECT 1 FROM counted
        WHERE counted.day = native.day
        AND counted.job IS NOT DISTINCT FROM native.job
        AND counted.instance IS NOT DISTINCT FROM native.instance
    )
),
of_status AS (
    SELECT
        period_start(day, $every, $from_day) AS day,
        outcome,
        status,
        sum(increase) AS answers
    FROM requests
    GROUP BY ALL
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
FROM of_status
ORDER BY day, status, outcome;
