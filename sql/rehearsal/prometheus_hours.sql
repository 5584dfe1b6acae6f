-- Each hour's stored samples, added up; stale markers are no values.
-- grain: one row an hour that has samples
-- inputs: the partition's object
-- parameters: $object
--
-- fsum is NaN where a value is infinite, or the sum is.
SELECT
    epoch_ms(date_trunc('hour', ts)) AS at_ms,
    count(*) AS samples,
    if(isnan(fsum(value)), sum(value), fsum(value)) AS total,
    fsum(abs(value)) AS size,
    count(nan) AS nans,
    count(histogram) AS histograms
FROM read_parquet($object)
WHERE nan IS DISTINCT FROM 'stale'
GROUP BY at_ms
ORDER BY at_ms
