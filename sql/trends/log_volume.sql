-- Daily log lines, bytes and error lines, by container
--
-- grain:      one row a UTC day and container
-- input:      logged | lines
-- column:     logged.container = container
-- parameters: from_day, to_day, every
-- x:          day
-- series:     container
-- panel:      lines a day | stacked | lines
-- panel:      error lines a day | lines | error_lines
--
-- A line's level is that of NAME_with_level. Bytes are those of the lines as UTF-8,
-- uncompressed.
SELECT
    period_start(day, $every, $from_day) AS day,
    container,
    CAST(sum(lines) AS BIGINT) AS lines,
    CAST(sum(bytes) AS BIGINT) AS bytes,
    CAST(
        coalesce(sum(lines) FILTER (level IN ('error', 'critical', 'fatal')), 0) AS BIGINT
    ) AS error_lines
FROM logged
GROUP BY ALL
ORDER BY day, container;
