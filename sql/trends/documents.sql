-- Daily documents of any collection (--dataset)
--
-- grain:      one row a UTC day
-- input:      counted | documents
-- parameters: from_day, to_day, every
-- x:          day
-- panel:      documents a day | bars | documents
SELECT period_start(day, $every, $from_day) AS day, count(*) AS documents
FROM counted
GROUP BY ALL
ORDER BY ALL;
