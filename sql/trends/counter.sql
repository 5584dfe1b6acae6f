-- Daily growth of any counter (--metric), by any label (--by)
--
-- grain:      one row a UTC day and value of the label
-- input:      counted | counter | $metric
-- optional:   counted.label = $by
-- parameters: from_day, to_day, every, metric, by
-- x:          day
-- series:     label
-- panel:      growth a day | stacked | increase
--
-- Exact: resets are corrected, growth from hour to hour and from day to day included, nothing is
-- extrapolated. label is NULL for series without that label.
SELECT
    period_start(day, $every, $from_day) AS day,
    label,
    sum(increase) AS increase
FROM counted
GROUP BY ALL
ORDER BY ALL;
