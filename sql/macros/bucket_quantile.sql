-- A quantile by the buckets of Prometheus' classic histograms, as histogram_quantile computes it
--
-- grain:      one DOUBLE of the rows; an aggregate
-- parameters: bucket_le        the label le: the bucket's upper bound, such as '0.5' or '+Inf'
--             bucket_increase  the growth of that bucket's counter; a bound's rows are summed
--             quantile         from 0 to 1; below it is -Infinity, above Infinity
--
-- Buckets are cumulative, as Prometheus stores them. Linear within a bucket, whose lower bound is
-- that of the bucket before, or 0; in the bucket +Inf the result is its lower bound. NULL, where
-- PromQL has NaN: no bucket +Inf, no other bucket, or no growth.
CREATE OR REPLACE MACRO bucket_quantile(bucket_le, bucket_increase, quantile) AS (
    SELECT CASE
        WHEN quantile < 0 THEN CAST('-Infinity' AS DOUBLE)
        WHEN quantile > 1 THEN CAST('Infinity' AS DOUBLE)
        WHEN coalesce(max(_upper), 0) < CAST('Infinity' AS DOUBLE) OR count(*) < 2 THEN NULL
        WHEN max(_upto) <= 0 OR isnan(max(_upto)) THEN NULL
        WHEN count(*) FILTER (_upto >= quantile * _all AND _place < _places) = 0
            THEN max(_upper) FILTER (_place < _places)
        ELSE arg_min(
            CASE
                WHEN _place = 1 AND _upper <= 0 THEN _upper
                ELSE _lower + (_upper - _lower)
                    * ((quantile * _all - _before) / nullif(_upto - _before, 0))
            END,
            _place
        ) FILTER (_upto >= quantile * _all AND _place < _places)
    END
    FROM (
        SELECT
            *,
            coalesce(lag(_upper) OVER (ORDER BY _upper), 0) AS _lower,
            coalesce(lag(_upto) OVER (ORDER BY _upper), 0) AS _before,
            row_number() OVER (ORDER BY _upper) AS _place,
            max(_upto) OVER () AS _all,
            count(*) OVER () AS _places
        FROM (
            SELECT _upper, max(_sum) OVER (ORDER BY _upper) AS _upto
            FROM (
                SELECT TRY_CAST(_bucket.le AS DOUBLE) AS _upper, sum(_bucket.n) AS _sum
                FROM unnest(list({le: bucket_le, n: bucket_increase})) AS _buckets(_bucket)
                WHERE _bucket.n IS NOT NULL AND TRY_CAST(_bucket.le AS DOUBLE) IS NOT NULL
                GROUP BY _upper
            )
        )
    )
);
