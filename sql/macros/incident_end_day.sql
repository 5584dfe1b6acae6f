-- The UTC day after the last one of the time around an instant
--
-- grain:      one DATE
-- parameters: at_time  a TIMESTAMP WITH TIME ZONE, or what casts to it
--             around   an INTERVAL, or what casts to it: the time before and after the instant
CREATE OR REPLACE MACRO incident_end_day(at_time, around) AS
CAST(
    timezone(
        'UTC',
        CAST(at_time AS TIMESTAMP WITH TIME ZONE) + CAST(around AS INTERVAL)
        - INTERVAL 1 MICROSECOND
    ) AS DATE
) + 1;
