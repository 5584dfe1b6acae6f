-- The UTC day after the last one that has a part of a time zone's days before a date
--
-- grain:      one DATE
-- parameters: local_date  the DATE in the zone after the last one
--             in_zone     a name of the IANA database, such as 'Asia/Seoul'
CREATE OR REPLACE MACRO utc_end_day(local_date, in_zone) AS
CAST(timezone('UTC', local_day_start(local_date, in_zone) - to_microseconds(1)) AS DATE) + 1;
