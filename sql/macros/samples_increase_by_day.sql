-- How much a counter grew each day, by its samples: what increase_by_day gives without a rollup
--
-- grain:      one row a series and day with samples: day, series_id, metric, the labels, increase
-- parameters: of_dataset     the dataset's name, a text
--             of_metric      the metric's name, a text
--             from_day       the first day, a DATE
--             to_day         the day after the last one, a DATE
--
-- The sums of counter_increase over a day, without a sort: a table's object is sorted by series and
-- time, so the row before is the series' sample before. Some 5 to 10 million
-- samples a second.
CREATE OR REPLACE MACRO samples_increase_by_day(of_dataset, of_metric, from_day, to_day) AS TABLE
SELECT * EXCLUDE ("-first", "-first_ts", "-last", "-within", "-grown"), "-grown" AS increase
FROM (
    SELECT
        *,
        hour_growth("-first", "-first_ts", "-last", "-within", series_id) AS "-grown"
    FROM (
        SELECT
            day,
            series_id,
            any_value(
                COLUMNS(
                    * EXCLUDE (
                        day, series_id, ts, value, nan, histogram, "-follows", "-before",
                        "-ts_before"
                    )
                )
            ) FILTER (NOT "-follows"),
            any_value(value) FILTER (NOT "-follows") AS "-first",
            any_value(ts) FILTER (NOT "-follows") AS "-first_ts",
            arg_max(value, ts) AS "-last",
            coalesce(
                sum(if(value < "-before", value, value - "-before")) FILTER ("-follows"), 0
            ) AS "-within"
        FROM (
            SELECT
                *,
                coalesce(
                    lag(series_id) OVER () = series_id AND lag(day) OVER () = day, false
                ) AS "-follows",
                lag(value) OVER () AS "-before",
                lag(ts) OVER () AS "-ts_before"
            FROM query(
                'FROM "' || replace(of_dataset, '"', '""') || '_between"(DATE '''
                || (CAST(from_day AS DATE) - 1) || ''', DATE ''' || CAST(to_day AS DATE) || ''')'
            )
            WHERE metric = of_metric AND value IS NOT NULL
        )
        GROUP BY day, series_id
        HAVING if(
            count(*) FILTER (NOT "-follows") = 1
                AND bool_and(NOT "-follows" OR ts > "-ts_before"),
            true,
            CAST(error('a table is not sorted by series and time: ' || day) AS BOOLEAN)
        )
    )
)
WHERE day >= CAST(from_day AS DATE);
