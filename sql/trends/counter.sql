-- Daily growth of any counter or native histogram (--metric), by any label (--by)
--
-- grain:      one row a UTC day and value of the label
-- input:      counted | counter | $metric
-- input:      native | histogram | $metric
-- optional:   counted.label = $by
-- optional:   native.label = $by
-- either:     counted, native
-- parameters: from_day, to_day, every, metric, by
-- x:          day
-- series:     label
-- panel:      growth a day | stacked | increase
--
-- Exact: resets are corrected, growth from hour to hour and from day to day included, nothing is
-- extrapolated. label is NULL for series without that label. For a native histogram, the growth is
-- that of its count.
WITH growth AS (
    SELECT day, label, increase FROM counted
    UNION ALL
    SELECT day, label, increase FROM native
)
SELECT
    period_start(day, $every, $from_day) AS day,
    label,
    sum(increase) AS increase
FROM growth
GROUP BY ALL
ORDER BY ALL;
