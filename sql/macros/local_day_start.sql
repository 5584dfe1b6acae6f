-- The first instant of a day in a time zone
--
-- grain:      one TIMESTAMP WITH TIME ZONE
-- parameters: local_date  a DATE
--             in_zone     a name of the IANA database, such as 'Asia/Seoul'
--
-- Where clocks are set back at 01:00, midnight comes twice and DuckDB takes the second one: the
-- first one is up to two hours before.
CREATE OR REPLACE MACRO local_day_start(local_date, in_zone) AS
list_min(list_filter(
    [
        timezone(in_zone, CAST(CAST(local_date AS DATE) AS TIMESTAMP)) - to_minutes(earlier_)
        for earlier_ in [0, 30, 60, 120]
    ],
    lambda instant_: CAST(timezone(in_zone, instant_) AS DATE) >= CAST(local_date AS DATE)
));
