-- The first UTC day that has a part of a time zone's days from a date on
--
-- grain:      one DATE
-- parameters: local_date  the first DATE in the zone
--             in_zone     a name of the IANA database, such as 'Asia/Seoul'
CREATE OR REPLACE MACRO utc_first_day(local_date, in_zone) AS
CAST(timezone('UTC', local_day_start(local_date, in_zone)) AS DATE);
