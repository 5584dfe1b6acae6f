-- The labels of each stream.
-- grain: one row a stream
-- inputs: the partition's object
-- parameters: $object
SELECT DISTINCT ON (stream_id) * EXCLUDE (ts, ts_ns, line, metadata)
FROM read_parquet($object)
ORDER BY stream_id
