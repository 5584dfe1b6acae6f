-- Requests, errors and tokens as each of the demo's tables knows them.
-- grain: one row a table
-- inputs: usage_analytics, metrics_rollups, http_server_requests, dialogue_metrics, container_logs
-- parameters: none
WITH
-- A counter's growth within each UTC day; after a reset it grows from 0.
steps AS (
    SELECT 'http' AS family, outcome, metric, value,
           value - lag(value) OVER (PARTITION BY series_id, day ORDER BY ts) AS step
    FROM http_server_requests
    WHERE metric = 'http_server_requests_seconds_count'
    UNION ALL
    SELECT 'llm', NULL, metric, value,
           value - lag(value) OVER (PARTITION BY series_id, day ORDER BY ts)
    FROM dialogue_metrics
    WHERE metric = 'llm_tokens_total'
),
growth AS (
    SELECT family, outcome, if(step < 0, value, step) AS increase FROM steps WHERE step IS NOT NULL
),
finished AS (
    SELECT json_extract(line, '$.status')::BIGINT AS status,
           json_extract(line, '$.totalTokens')::BIGINT AS tokens
    FROM container_logs
    WHERE container = 'miyou-api' AND line LIKE '%"message":"request finished"%'
)
SELECT 'usage_analytics' AS "table",
       count(*) AS requests,
       count(*) FILTER (error IS NOT NULL) AS errors,
       coalesce(sum(llm."totalTokens"), 0)::BIGINT AS tokens
FROM usage_analytics
UNION ALL
SELECT 'metrics_rollups', coalesce(sum("requestCount"), 0)::BIGINT,
       coalesce(sum("errorCount"), 0)::BIGINT, coalesce(sum("totalTokens"), 0)::BIGINT
FROM metrics_rollups
UNION ALL
SELECT 'http_server_requests, dialogue_metrics',
       coalesce(sum(increase) FILTER (family = 'http'), 0)::BIGINT,
       coalesce(sum(increase) FILTER (family = 'http' AND outcome = 'SERVER_ERROR'), 0)::BIGINT,
       coalesce(sum(increase) FILTER (family = 'llm'), 0)::BIGINT
FROM growth
UNION ALL
SELECT 'container_logs', count(*), count(*) FILTER (status >= 500), coalesce(sum(tokens), 0)::BIGINT
FROM finished
