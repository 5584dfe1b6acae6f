-- The rows that only one of two objects of the same columns has, and how many there are.
-- grain: one row a side and row, at most so many
-- inputs: two objects
-- parameters: $object (the lake's), $restored, $wanted
WITH
lost AS (FROM read_parquet($object) EXCEPT ALL FROM read_parquet($restored)),
extra AS (FROM read_parquet($restored) EXCEPT ALL FROM read_parquet($object))
(SELECT 'lake' AS side, (SELECT count(*) FROM lost) AS times, to_json(lost)::VARCHAR AS row
 FROM lost ORDER BY row LIMIT $wanted)
UNION ALL
(SELECT 'restored', (SELECT count(*) FROM extra), to_json(extra)::VARCHAR
 FROM extra ORDER BY ALL LIMIT $wanted)
