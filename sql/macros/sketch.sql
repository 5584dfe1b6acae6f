-- A sketch of numbers, which merges and gives quantiles with a relative error of at most 1 %
--
-- grain:      one MAP(bucket, count) of the rows; an aggregate
-- parameters: sketch_value  a number; NULL and NaN are not counted
--
-- DDSketch's rule: with g = 1.01 / 0.99, bucket i holds the values in (g^(i-1), g^i]. A bucket's
-- key orders as its values do: i + 40000 above 0, 0 at 0, the negated key of -x below 0, and
-- ±80000 for ±Infinity.
-- Store it in a rollup; sketch_merge and sketch_quantile read it.
CREATE OR REPLACE MACRO sketch(sketch_value) AS
histogram(
    CASE
        WHEN isnan(CAST(sketch_value AS DOUBLE)) THEN NULL
        WHEN isinf(CAST(sketch_value AS DOUBLE))
            THEN CAST(80000 * sign(CAST(sketch_value AS DOUBLE)) AS INTEGER)
        WHEN CAST(sketch_value AS DOUBLE) = 0 THEN 0
        ELSE CAST(
            sign(CAST(sketch_value AS DOUBLE))
            * (ceil(ln(abs(CAST(sketch_value AS DOUBLE))) / ln(1.01 / 0.99)) + 40000)
            AS INTEGER
        )
    END
);
