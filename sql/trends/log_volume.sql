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
-- A line's level is that of container_logs_with_level. Bytes are those of the lines as UTF-8,
-- uncompressed.
SELECT
    day,
    container,
    count(*) AS lines,
    CAST(sum(strlen(line)) AS BIGINT) AS bytes,
    count(*) FILTER (level IN ('error', 'critical', 'fatal')) AS error_lines
FROM container_logs_with_level_between($from_day, $to_day)
GROUP BY day, container
ORDER BY day, container;
