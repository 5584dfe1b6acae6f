-- Each hour's lines and their bytes; `unclear` ones hold what may stand for broken UTF-8, those
-- `at_end` are of the hour's last nanosecond.
-- grain: one row an hour that has lines
-- inputs: the partition's object
-- parameters: $object
SELECT
    ts_ns // 3_600_000_000_000 * 3_600_000_000_000 AS at_ns,
    count(*) AS lines,
    sum(strlen(line))::BIGINT AS bytes,
    count(*) FILTER (contains(line, chr(65533))) AS unclear,
    count(*) FILTER (ts_ns % 3_600_000_000_000 = 3_599_999_999_999) AS at_end
FROM read_parquet($object)
GROUP BY at_ns
ORDER BY at_ns
