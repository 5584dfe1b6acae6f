-- Each step's values, added up.
-- grain: one row a timestamp of the partition
-- inputs: the partition's object
-- parameters: $object
--
-- fsum is NaN where a value is infinite, or the sum is.
SELECT
    epoch_ms(ts) AS at_ms,
    count(*) AS samples,
    if(isnan(fsum(value)), sum(value), fsum(value)) AS total,
    fsum(abs(value)) AS size,
    count(nan) AS nans,
    count(histogram) AS histograms
FROM read_parquet($object)
GROUP BY at_ms
ORDER BY at_ms
