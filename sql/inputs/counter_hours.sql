-- The rows of a Prometheus rollup, for a trend's input
--
-- grain:      one row a series and hour
-- inputs:     {hourly}, the range macro of the rollup; {first} and {end} of a part of the range
-- parameters: from_day, to_day, the metrics
SELECT day, series_id, metric, "first", first_ts, "last", increase{columns}
FROM {hourly}({first}, {end})
WHERE metric IN ({metrics}) AND "first" IS NOT NULL
