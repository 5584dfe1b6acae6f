-- The same of days that have no rollup, by their lines
--
-- grain:      one row a stream, day and level
-- inputs:     {between}, the range macro of the dataset with levels
-- parameters: from_day, to_day: these days
SELECT
    day,
    stream_id,
    level,
    count(*) AS lines,
    CAST(sum(strlen(line)) AS BIGINT) AS bytes{columns}
FROM {between}($from_day, $to_day)
GROUP BY stream_id, day, level
