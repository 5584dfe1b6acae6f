-- Every sample of some series, chosen by a seed; stale markers are in no answer of PromQL.
-- grain: one row a sample
-- inputs: the partition's object
-- parameters: $object, $seed, $wanted (so many series)
WITH chosen AS (
    SELECT DISTINCT series_id
    FROM read_parquet($object)
    ORDER BY hash(series_id, $seed::BIGINT), series_id
    LIMIT $wanted
)
SELECT epoch_ms(ts) AS at_ms, *
FROM read_parquet($object)
WHERE series_id IN (FROM chosen) AND nan IS DISTINCT FROM 'stale'
ORDER BY series_id, at_ms
