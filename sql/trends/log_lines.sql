-- Daily log lines, bytes and error lines, by any label (--by)
--
-- grain:      one row a UTC day and value of the label
-- input:      logged | lines
-- optional:   logged.label = $by
-- parameters: from_day, to_day, every, by
-- x:          day
-- series:     label
-- panel:      lines a day | stacked | lines
-- panel:      error lines a day | lines | error_lines
--
-- label is NULL for streams without that label. A line's level is that of NAME_with_level.
SELECT
    period_start(day, $every, $from_day) AS day,
    label,
    CAST(sum(lines) AS BIGINT) AS lines,
    CAST(sum(bytes) AS BIGINT) AS bytes,
    CAST(
        coalesce(sum(lines) FILTER (level IN ('error', 'critical', 'fatal')), 0) AS BIGINT
    ) AS error_lines
FROM logged
GROUP BY ALL
ORDER BY ALL;
