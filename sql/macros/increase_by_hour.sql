-- How much a counter grew each hour, by the rollup of its dataset
--
-- grain:      one row a series and hour with samples: day, hour, series_id, metric, the labels,
--             increase
-- parameters: of_dataset     the dataset's name, a text
--             of_metric      the metric's name, a text
--             from_day       the first day, a DATE
--             to_day         the day after the last one, a DATE
--
-- increase is exact: no extrapolation, resets and the growth from hour to hour included; see
-- hour_growth. The day before from_day is read, too.
CREATE OR REPLACE MACRO increase_by_hour(of_dataset, of_metric, from_day, to_day) AS TABLE
SELECT
    * EXCLUDE (
        samples, first, first_ts, last, last_ts, min, max, sum, increase, resets, stale, nans,
        histograms, histogram, "-grown"
    ),
    "-grown" AS increase
FROM (
    SELECT *, hour_growth(
        first, first_ts, last, increase, series_id, query_starts := query_starts_of(of_dataset)
    ) AS "-grown"
    FROM query(
        'FROM "' || replace(of_dataset, '"', '""') || '_hourly_between"(DATE '''
        || (CAST(from_day AS DATE) - 1) || ''', DATE ''' || CAST(to_day AS DATE) || ''')'
    )
    WHERE metric = of_metric AND first IS NOT NULL
)
WHERE day >= CAST(from_day AS DATE);
