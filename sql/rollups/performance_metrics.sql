-- Runs of the pipeline's stages and how long they took, by hour, stage and status
--
-- grain:    one row an hour, stage and status of the stage
-- keys:     hour, stage, status
-- measures: runs, duration_ms, duration_ms_sum
-- column:   finished_at TIMESTAMPTZ = timestamp
-- column:   stages STRUCT("name" VARCHAR, status VARCHAR, "durationMs" NUMBER)[] = stages
-- sums:     runs, duration_ms_sum
--
-- duration_ms is a sketch: sketch_quantile(sketch_merge(duration_ms), 0.95). A document without
-- a date counts in the first hour of its day, one without stages not at all.
WITH stage_runs AS (
    SELECT
        coalesce(date_trunc('hour', finished_at), CAST(day AS TIMESTAMPTZ)) AS hour,
        unnest(stages) AS run
    FROM day_rows
)
SELECT
    hour,
    run."name" AS stage,
    run.status AS status,
    count(*) AS runs,
    sketch(run."durationMs") AS duration_ms,
    coalesce(sum(run."durationMs"), 0) AS duration_ms_sum
FROM stage_runs
GROUP BY ALL;
