-- How much a counter grew up to the end of an hour, by the rows of a rollup
--
-- grain:      one value a rollup's row (series and hour): the growth since the row before
-- parameters: hour_first     the hour's first value
--             hour_first_ts  its time
--             hour_last      the hour's last value
--             hour_increase  the growth within the hour
--             series         series_id
--             query_starts   when the dataset's query was changed, see query_start_of
--
-- The growth within the hour and that from the last value of the series' row before to this
-- hour's first one, corrected for resets: the sum over rows is that of counter_increase over the
-- samples. As there, a series is born at 0 where other series were seen more than 5 minutes earlier;
-- of the first rows of all, only the growth within the hour counts. So read one day more than is
-- wanted.
-- A window function: use it in a subquery, then sum it.
CREATE OR REPLACE MACRO hour_growth(
    hour_first, hour_first_ts, hour_last, hour_increase, series, query_starts := NULL
) AS
hour_increase + CASE
    WHEN lag(hour_last) OVER (PARTITION BY series ORDER BY hour_first_ts) IS NULL
        THEN if(
            is_birth(
                hour_first_ts,
                min(hour_first_ts) OVER (PARTITION BY query_start_of(query_starts, hour_first_ts))
            ),
            hour_first,
            0
        )
    WHEN hour_first < lag(hour_last) OVER (PARTITION BY series ORDER BY hour_first_ts)
        THEN hour_first
    ELSE hour_first - lag(hour_last) OVER (PARTITION BY series ORDER BY hour_first_ts)
END;
