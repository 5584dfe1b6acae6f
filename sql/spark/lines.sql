-- A trend's input `lines` for Spark: lines and bytes by the table's lines
--
-- grain:      one row a stream, day and level
-- inputs:     {table}, the view of the dataset with levels; {columns}, {from_day}, {to_day}
SELECT
    day,
    stream_id,
    level,
    count(*) AS lines,
    CAST(sum(octet_length(line)) AS BIGINT) AS bytes{columns}
FROM {table}
WHERE day >= {from_day} AND day < {to_day}
GROUP BY stream_id, day, level
