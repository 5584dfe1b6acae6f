-- A trend's input `lines`: lines and bytes by the rows of a rollup
--
-- grain:      one row a stream, hour and level
-- inputs:     {hourly}, the range macro of the rollup
-- parameters: from_day, to_day
SELECT day, stream_id, level, lines, bytes{columns}
FROM {hourly}($from_day, $to_day)
