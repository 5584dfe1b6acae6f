-- The service's own minutes of each stage by hour: runs, errors, latency
--
-- grain:    one row an hour and stage
-- keys:     hour, stage
-- measures: minutes, runs, errors, latency_ms_sum
-- column:   minute TIMESTAMPTZ = timestamp
-- column:   stage VARCHAR = stage
-- column:   runs NUMBER = count
-- column:   errors NUMBER = errorCount
-- column:   latency_ms NUMBER = totalLatencyMs
-- sums:     minutes, runs, errors, latency_ms_sum
-- rows:     minutes
--
-- The average latency is sum(latency_ms_sum) / sum(runs).
SELECT
    coalesce(date_trunc('hour', minute), CAST(day AS TIMESTAMPTZ)) AS hour,
    stage,
    count(*) AS minutes,
    coalesce(sum(runs), 0) AS runs,
    coalesce(sum(errors), 0) AS errors,
    coalesce(sum(latency_ms), 0) AS latency_ms_sum
FROM day_rows
GROUP BY ALL;
