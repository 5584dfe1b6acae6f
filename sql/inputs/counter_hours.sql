-- The rows of a Prometheus rollup, for a trend's input
--
-- grain:      one row a series and hour
-- inputs:     {hourly}, the range macro of the rollup
-- parameters: from_day, to_day, the metrics
SELECT day, series_id, metric, "first", first_ts, "last", increase{columns}
FROM {hourly}($from_day - 1, $to_day)
WHERE metric IN ({metrics}) AND "first" IS NOT NULL
