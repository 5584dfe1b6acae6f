-- The names of the labels that have no column of their own.
-- grain: one row
-- inputs: the partition's object
-- parameters: $object
SELECT coalesce(list_distinct(flatten(list(DISTINCT map_keys(labels)))), []) AS names
FROM read_parquet($object)
