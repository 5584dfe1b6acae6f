-- Every sample of some steps.
-- grain: one row a sample
-- inputs: the partition's object
-- parameters: $object, $steps (a list of ms since the epoch)
SELECT epoch_ms(ts) AS at_ms, *
FROM read_parquet($object)
WHERE list_contains($steps, epoch_ms(ts))
