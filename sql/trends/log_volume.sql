-- Log lines, bytes and error lines a day by container
--
-- grain:      one row a UTC day and container
-- inputs:     container_logs
-- parameters: from_day, to_day (DATE, half-open)
-- x:          day
-- series:     container
-- panel:      lines a day | stacked | lines
-- panel:      error lines a day | lines | error_lines
--
-- A line's level is the one that Loki detects (structured metadata `detected_level`, from 3.0
-- on), else its stream's label `level`, else what the line itself contains. Bytes are those of
-- the lines as UTF-8, uncompressed.
WITH lines AS (
    FROM container_logs_between($from_day, $to_day)
    -- Streams may have no such label, and days of an older Loki no metadata.
    UNION ALL BY NAME SELECT NULL::VARCHAR AS level WHERE false
),
levels AS (
    SELECT
        day,
        container,
        line,
        coalesce(
            level_name(metadata['detected_level']),
            level_name(level),
            log_level(line, metadata)
        ) AS level
    FROM lines
)
SELECT
    day,
    container,
    count(*) AS lines,
    CAST(sum(strlen(line)) AS BIGINT) AS bytes,
    count(*) FILTER (level IN ('error', 'critical', 'fatal')) AS error_lines
FROM levels
GROUP BY day, container
ORDER BY day, container;
