-- The time of a time zone's clocks at an instant
--
-- grain:      one TIMESTAMP
-- parameters: instant  a TIMESTAMP WITH TIME ZONE
--             in_zone  a name of the IANA database, such as 'Asia/Seoul'
CREATE OR REPLACE MACRO local_time(instant, in_zone) AS
timezone(in_zone, CAST(instant AS TIMESTAMP WITH TIME ZONE));
