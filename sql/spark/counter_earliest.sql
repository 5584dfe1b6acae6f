-- The first sample of all since an instant, for the input `counter` for Spark
--
-- grain:      one TIMESTAMP
-- inputs:     {table}, the view of the dataset; {metrics}, {from_day}, {to_day}; {since}, a condition
SELECT min(ts) FROM {table}
WHERE day >= {from_day} - INTERVAL 1 DAY AND day < {to_day}
AND metric IN ({metrics}) AND value IS NOT NULL AND {since}
