-- How much native histograms grew each day, bucket by bucket, by the rollup of their dataset
--
-- grain:      one row a series, day and bucket that grew: day, series_id, metric, the labels,
--             lower, upper, increase
-- parameters: of_dataset     the dataset's name, a text
--             of_metric      the metric's name, a text
--             from_day       the first day, a DATE
--             to_day         the day after the last one, a DATE
--
-- The sum of histogram_increase_by_hour: exact over the edges of hours and days.
--
--     SELECT day, histogram_quantile(lower, upper, increase, 0.95) AS p95
--     FROM histogram_increase_by_day(
--         'http_server_requests', 'http_server_requests_seconds',
--         DATE '2026-07-01', DATE '2026-10-01') GROUP BY day
CREATE OR REPLACE MACRO histogram_increase_by_day(of_dataset, of_metric, from_day, to_day)
AS TABLE
SELECT * EXCLUDE (hour, increase), sum(increase) AS increase
FROM histogram_increase_by_hour(of_dataset, of_metric, from_day, to_day)
GROUP BY ALL;
