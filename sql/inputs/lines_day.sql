-- The same of a day that has no rollup, by its lines
--
-- grain:      one row a stream and level
-- inputs:     {between}, the range macro of the dataset with levels
-- parameters: from_day, to_day: one day
SELECT
    any_value(day) AS day,
    stream_id,
    level,
    count(*) AS lines,
    CAST(sum(strlen(line)) AS BIGINT) AS bytes{columns}
FROM {between}($from_day, $to_day)
GROUP BY stream_id, level
