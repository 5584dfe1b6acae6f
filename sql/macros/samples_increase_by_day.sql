-- How much a counter grew each day, by its samples: what increase_by_day gives without a rollup
--
-- grain:      one row a series and day with samples: day, series_id, metric, the labels, increase
-- parameters: of_dataset     the dataset's name, a text
--             of_metric      the metric's name, a text
--             from_day       the first day, a DATE
--             to_day         the day after the last one, a DATE
--
-- The sums of counter_increase over a day, without a sort: a table's object is sorted by series and
-- time, so the row before is the series' sample before. On a day a series grows from its first
-- sample to its last one, and at each reset by what it had reached before it: only those samples
-- are grouped, all others leave at once. The range is read in up to 32 parts, which are scanned in
-- parallel. Some 15 million samples a second and core. A label with the name of a column here is left
-- out.
CREATE OR REPLACE MACRO samples_increase_by_day(of_dataset, of_metric, from_day, to_day) AS TABLE
SELECT * EXCLUDE ("-first", "-first_ts", "-last", "-within", "-grown"), "-grown" AS increase
FROM (
    SELECT
        *,
        hour_growth(
            "-first", "-first_ts", "-last", "-within", series_id,
            query_starts := query_starts_of(of_dataset)
        ) AS "-grown"
    FROM (
        SELECT
            day,
            series_id,
            any_value(
                COLUMNS(
                    lambda name_: name_ NOT IN (
                        'day', 'series_id', 'ts', 'value', 'nan', 'histogram', 'increase',
                        '-series_before', '-day_before', '-before', '-ts_before', '-series_after',
                        '-day_after', '-follows', '-followed'
                    )
                )
            ) FILTER (NOT "-follows"),
            any_value(value) FILTER (NOT "-follows") AS "-first",
            any_value(ts) FILTER (NOT "-follows") AS "-first_ts",
            any_value(value) FILTER (NOT "-followed") AS "-last",
            "-last" - "-first" + coalesce(
                sum("-before") FILTER ("-follows" AND value < "-before"), 0
            ) AS "-within"
        FROM (
            SELECT
                *,
                "-day_before" = day AND "-series_before" = series_id AS "-follows",
                "-day_after" = day AND "-series_after" = series_id AS "-followed"
            FROM query(
                array_to_string(
                    list_transform(
                        generate_series(
                            CAST(from_day AS DATE) - 1,
                            greatest(CAST(to_day AS DATE), CAST(from_day AS DATE)) - 1,
                            INTERVAL 1 DAY * (
                                greatest(CAST(to_day AS DATE) - CAST(from_day AS DATE), 0) // 32
                                + 1
                            )
                        ),
                        lambda part:
                            'SELECT *, lag(series_id) OVER () AS "-series_before", '
                            || 'lag(day, 1, DATE ''0001-01-01'') OVER () AS "-day_before", '
                            || 'lag(value) OVER () AS "-before", '
                            || 'lag(ts) OVER () AS "-ts_before", '
                            || 'lead(series_id) OVER () AS "-series_after", '
                            || 'lead(day, 1, DATE ''0001-01-01'') OVER () AS "-day_after" '
                            || 'FROM "' || replace(of_dataset, '"', '""') || '_between"('
                            || 'DATE ''' || CAST(part AS DATE) || ''', DATE ''' || CAST(
                                least(
                                    part + INTERVAL 1 DAY * (
                                        greatest(
                                            CAST(to_day AS DATE) - CAST(from_day AS DATE), 0
                                        ) // 32 + 1
                                    ),
                                    CAST(to_day AS DATE)
                                ) AS DATE
                            )
                            || ''') WHERE metric = ''' || replace(of_metric, '''', '''''')
                            || ''' AND value IS NOT NULL'
                    ),
                    ' UNION ALL '
                )
            )
            -- One chain of ANDs: DuckDB evaluates it in half the time of the same ORs.
            WHERE NOT (
                "-series_before" = series_id AND "-series_after" = series_id
                AND "-day_before" = day AND "-day_after" = day
                AND value >= "-before" AND ts > "-ts_before"
            )
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
