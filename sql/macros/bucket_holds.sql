-- Whether one bucket of a native histogram holds all of another
--
-- grain:      one BOOLEAN
-- parameters: outer_bucket  a STRUCT with `lower` and `upper`
--             inner_bucket  another one
--
-- The zero bucket may be [0, 0], which is in none that only begins or ends there.
CREATE OR REPLACE MACRO bucket_holds(outer_bucket, inner_bucket) AS
(outer_bucket.lower = inner_bucket.lower AND outer_bucket.upper = inner_bucket.upper)
OR (
    outer_bucket.lower <= inner_bucket.lower AND inner_bucket.upper <= outer_bucket.upper
    AND outer_bucket.lower < inner_bucket.upper AND inner_bucket.lower < outer_bucket.upper
);
