-- Weekly latency of each pipeline stage
--
-- grain:      one row a week (its Monday, UTC) and stage
-- input:      processed | documents
-- column:     processed.stages STRUCT("name" VARCHAR, status VARCHAR, "durationMs" DOUBLE)[] = stages
-- parameters: from_day, to_day, every
-- every:      week
-- x:          week
-- series:     stage
-- panel:      median, ms | lines | p50_ms
-- panel:      95th percentile, ms | lines | p95_ms
--
-- Runs that failed are counted, but their time is left out: a time-out says nothing of the
-- stage's own pace. The first and the last week have the days of the range only.
WITH runs AS (
    SELECT day, unnest(stages) AS run
    FROM processed
)
SELECT
    period_start(day, $every, $from_day) AS week,
    run.name AS stage,
    count(*) AS runs,
    count(*) FILTER (run.status = 'FAILED') AS failed,
    round(avg(run."durationMs") FILTER (run.status <> 'FAILED'), 1) AS avg_ms,
    quantile_cont(run."durationMs", 0.50) FILTER (run.status <> 'FAILED') AS p50_ms,
    quantile_cont(run."durationMs", 0.95) FILTER (run.status <> 'FAILED') AS p95_ms
FROM runs
GROUP BY ALL
ORDER BY week, stage;
