-- The growth of several metrics that count the same: of one target on one day, the first of them
--
-- grain:      one row a series and day
-- inputs:     {counted}, the rows of `counter` with the target's job and instance
-- parameters: the metrics
--
-- A service may export the metrics of two libraries. Another service, or the same one on another
-- day, may export only the second.
SELECT * EXCLUDE ("target job", "target instance")
FROM ({counted})
QUALIFY list_position([{metrics}], metric) = min(list_position([{metrics}], metric))
    OVER (PARTITION BY day, "target job", "target instance")
