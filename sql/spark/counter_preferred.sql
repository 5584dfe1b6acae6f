-- The growth of several metrics that count the same: of one target on one day, the first of them
--
-- grain:      one row a series and day
-- inputs:     {counted}, the rows of `counter` with the target's job and instance; {metrics}
SELECT * FROM (
    SELECT
        *,
        array_position(array({metrics}), metric) AS `rank of metric`,
        min(array_position(array({metrics}), metric))
            OVER (PARTITION BY day, `target job`, `target instance`) AS `first rank`
    FROM ({counted})
)
WHERE `rank of metric` = `first rank`
