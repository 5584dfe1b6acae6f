-- A quantile of the values that a sketch holds, with a relative error of at most 1 %
--
-- grain:      one DOUBLE; NULL where the sketch is empty
-- parameters: one_sketch  a sketch, or sketch_merge of many
--             quantile    from 0 to 1
--
-- The value of rank floor(quantile * (count - 1)) among the sorted values, counted from 0: no
-- interpolation. The result is the middle of that value's bucket.
CREATE OR REPLACE MACRO sketch_quantile(one_sketch, quantile) AS (
    SELECT CASE
        WHEN quantile < 0 OR quantile > 1
            THEN CAST(error('a quantile is from 0 to 1, not ' || quantile) AS DOUBLE)
        WHEN abs(min(_bucket)) = 80000 THEN sign(min(_bucket)) * CAST('Infinity' AS DOUBLE)
        WHEN min(_bucket) = 0 THEN 0
        -- 2 g^i / (g + 1) with g = 1.01 / 0.99
        ELSE sign(min(_bucket)) * 0.99 * pow(1.01 / 0.99, abs(min(_bucket)) - 40000)
    END
    FROM (
        SELECT
            _entry.key AS _bucket,
            sum(_entry.value) OVER (ORDER BY _entry.key) AS _upto,
            sum(_entry.value) OVER () AS _all
        FROM unnest(map_entries(one_sketch)) AS _entries(_entry)
    )
    WHERE _upto > floor(quantile * (_all - 1))
);
