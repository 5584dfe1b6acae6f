-- Whether a native histogram's bucket may be one of Prometheus' exponential schemas
--
-- grain:      one BOOLEAN
-- parameters: bucket_lower  its lower bound
--             bucket_upper  its upper bound; both on one side of 0
--
-- The bound away from 0 is a power of 2^(1/256), which all schemas' bounds are: the other one may
-- be where the zero bucket ends. The last bucket begins at the largest DOUBLE.
CREATE OR REPLACE MACRO bucket_is_exponential(bucket_lower, bucket_upper) AS
CASE
    WHEN isinf(bucket_lower) OR isinf(bucket_upper)
        THEN least(abs(bucket_lower), abs(bucket_upper)) = CAST('1.7976931348623157e308' AS DOUBLE)
    WHEN least(abs(bucket_lower), abs(bucket_upper)) = 0
        THEN greatest(abs(bucket_lower), abs(bucket_upper)) < CAST('1e-307' AS DOUBLE)
    WHEN greatest(abs(bucket_lower), abs(bucket_upper)) = CAST('1.7976931348623157e308' AS DOUBLE)
        THEN true
    ELSE abs(
        256 * log2(greatest(abs(bucket_lower), abs(bucket_upper)))
        - round(256 * log2(greatest(abs(bucket_lower), abs(bucket_upper))))
    ) < 0.000001
END;
