-- Every line of some nanoseconds, chosen by a seed.
-- A line at a full hour is left out: Loki may hold it and have it in no answer.
-- grain: one row a line
-- inputs: the partition's object
-- parameters: $object, $seed, $wanted (so many nanoseconds)
WITH chosen AS (
    SELECT DISTINCT ts_ns
    FROM read_parquet($object)
    WHERE ts_ns % 3_600_000_000_000 <> 0
    ORDER BY hash(ts_ns, $seed::BIGINT), ts_ns
    LIMIT $wanted
)
FROM read_parquet($object)
WHERE ts_ns IN (FROM chosen)
ORDER BY ts_ns
