-- A quantile of the values that a sketch holds, with a relative error of at most 1 %
--
-- grain:      one DOUBLE; NULL where the sketch is empty
-- parameters: one_sketch  a sketch, or sketch_merge of many
--             quantile    from 0 to 1
--
-- The value of rank floor(quantile * (count - 1)) among the sorted values, counted from 0: no
-- interpolation. The result is the middle of that value's bucket.
-- By functions of lists: a subquery around the one of sketch_merge would take minutes.
CREATE OR REPLACE MACRO sketch_quantile(one_sketch, quantile) AS
list_transform(
    list_transform(
        [one_sketch],
        lambda _merged: {counts: map_values(_merged), buckets: map_keys(_merged), q: quantile}
    ),
    lambda _sketch: list_transform(
        [CASE
            WHEN _sketch.q < 0 OR _sketch.q > 1
                THEN CAST(error('a quantile is from 0 to 1, not ' || _sketch.q) AS INTEGER)
            -- Of the buckets in their order the first one up to which there are enough values.
            ELSE _sketch.buckets[list_position(
                list_transform(
                    range(1, len(_sketch.counts) + 1),
                    lambda _upto: list_sum(_sketch.counts[:_upto])
                        > floor(_sketch.q * (list_sum(_sketch.counts) - 1))
                ),
                true
            )]
        END],
        lambda _bucket: CASE
            WHEN abs(_bucket) = 80000 THEN sign(_bucket) * CAST('Infinity' AS DOUBLE)
            WHEN _bucket = 0 THEN 0
            -- 2 g^i / (g + 1) with g = 1.01 / 0.99; of the last bucket at most the largest DOUBLE
            ELSE sign(_bucket) * least(
                1.01 * pow(1.01 / 0.99, abs(_bucket) - 40001),
                CAST('1.7976931348623157e308' AS DOUBLE)
            )
        END
    )[1]
)[1];
