-- A trend's input `counter` for Spark: growth by the table's samples
--
-- grain:      one row a series and day: its day, the trend's columns, increase
-- inputs:     {table}, the view of the dataset; {metrics}, {columns}, {from_day}, {to_day};
--             {earliest}, the first sample of all by the same query (counter_earliest)
--
-- As in the macro counter_increase: resets are corrected, and a series that begins more than 5 minutes
-- after the first sample of all was born at 0. The day before from_day is read.
SELECT day, series_id, any_value(metric) AS metric{columns}, sum(grown) AS increase
FROM (
    SELECT
        *,
        CASE
            WHEN before IS NULL THEN if(ts > {earliest} + INTERVAL 5 MINUTES, value, 0)
            WHEN value < before THEN value
            ELSE value - before
        END AS grown
    FROM (
        SELECT *, lag(value) OVER (PARTITION BY series_id ORDER BY ts) AS before
        FROM {table}
        WHERE day >= {from_day} - INTERVAL 1 DAY AND day < {to_day}
        AND metric IN ({metrics}) AND value IS NOT NULL
    )
)
WHERE day >= {from_day}
GROUP BY day, series_id
