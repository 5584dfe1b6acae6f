-- The day of a time zone in which an instant lies
--
-- grain:      one DATE
-- parameters: instant  a TIMESTAMP WITH TIME ZONE
--             in_zone  a name of the IANA database, such as 'Asia/Seoul'
--
-- Days of a zone: FROM container_logs_local_between(DATE '2026-07-01', DATE '2026-08-01', 'Asia/Seoul')
CREATE OR REPLACE MACRO local_day(instant, in_zone) AS
CAST(timezone(in_zone, CAST(instant AS TIMESTAMP WITH TIME ZONE)) AS DATE);
