-- The time at which an ObjectId was made, to the second
--
-- grain:      one TIMESTAMP WITH TIME ZONE; NULL of what is no ObjectId
-- parameters: object_id  24 hexadecimal digits, as in _id
--
-- Documents per hour: SELECT date_trunc('hour', object_id_time(_id)) AS hour, count(*) FROM sessions GROUP BY hour
CREATE OR REPLACE MACRO object_id_time(object_id) AS
if(
    regexp_full_match(CAST(object_id AS VARCHAR), '[0-9a-fA-F]{24}'),
    to_timestamp(TRY_CAST(concat('0x', left(CAST(object_id AS VARCHAR), 8)) AS BIGINT)),
    NULL
);
