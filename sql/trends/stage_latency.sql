-- Weekly latency of each pipeline stage
--
-- grain:      one row a week (its Monday, UTC) and stage
-- input:      processed | documents
-- column:     processed.stages STRUCT("name" VARCHAR, status VARCHAR, "durationMs" NUMBER)[] = stages
-- parameters: from_day, to_day, every
-- every:      week
-- x:          week
-- series:     stage
-- panel:      median, ms | lines | p50_ms
-- panel:      95th percentile, ms | lines | p95_ms
--
-- Runs that failed are counted, but their time is left out: a time-out shows nothing about the
-- stage's own pace. The first and the last week have the days of the range only.
WITH runs AS (
    SELECT day, unnest(stages) AS run
    FROM processed
),

timed AS (
    SELECT day, run.name AS stage, run.status, CAST(run."durationMs" AS DOUBLE) AS duration_ms
    FROM runs
)

SELECT
    period_start(day, $every, $from_day) AS week,
    stage,
    count(*) AS runs,
    count(*) FILTER (status = 'FAILED') AS failed,
    round(avg(duration_ms) FILTER (status <> 'FAILED'), 1) AS avg_ms,
    quantile_cont(duration_ms, 0.50) FILTER (status <> 'FAILED') AS p50_ms,
    quantile_cont(duration_ms, 0.95) FILTER (status <> 'FAILED') AS p95_ms
FROM timed
GROUP BY ALL
ORDER BY week, stage;
