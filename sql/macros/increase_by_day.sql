-- How much a counter grew each day, by the rollup of its dataset
--
-- grain:      one row a series and day with samples: day, series_id, metric, the labels, increase
-- parameters: of_dataset     the dataset's name, a text
--             of_metric      the metric's name, a text
--             from_day       the first day, a DATE
--             to_day         the day after the last one, a DATE
--
-- The sum of increase_by_hour: exact over the edges of hours and days.
--
--     SELECT day, status, sum(increase) FROM increase_by_day(
--         'http_server_requests', 'http_server_requests_seconds_count',
--         DATE '2026-07-01', DATE '2026-10-01') GROUP BY ALL
CREATE OR REPLACE MACRO increase_by_day(of_dataset, of_metric, from_day, to_day) AS TABLE
SELECT * EXCLUDE (hour, increase), sum(increase) AS increase
FROM increase_by_hour(of_dataset, of_metric, from_day, to_day)
GROUP BY ALL;
