-- A quantile by the buckets of Prometheus' native histograms, as histogram_quantile computes it
--
-- grain:      one DOUBLE of the rows; an aggregate
-- parameters: bucket_lower     the bucket's lower bound
--             bucket_upper     its upper bound
--             bucket_increase  what the bucket grew by; a bucket's rows are summed
--             quantile         from 0 to 1; below it is -Infinity, above Infinity
--
-- Buckets are not cumulative, and those without growth may be absent. Buckets of different
-- resolutions that overlap are merged first. On a logarithmic scale within a bucket; linear within
-- the zero bucket, which begins or ends at 0 where nothing is on its other side, and within custom
-- bounds: those that are no power of 2^(1/256). NULL without growth, where PromQL has NaN.
CREATE OR REPLACE MACRO histogram_quantile(
    bucket_lower, bucket_upper, bucket_increase, quantile
) AS (
    SELECT CASE
        WHEN quantile < 0 THEN CAST('-Infinity' AS DOUBLE)
        WHEN quantile > 1 THEN CAST('Infinity' AS DOUBLE)
        -- From the nearer end, as PromQL: where the rank is between two buckets, that decides.
        WHEN quantile < 0.5 THEN arg_min(_value, _place) FILTER (_below + _n >= quantile * _all)
        ELSE arg_max(_value, _place) FILTER (_above + _n >= (1 - quantile) * _all)
    END
    FROM (
        SELECT
            *,
            CASE
                WHEN _low <= 0 AND _high >= 0 OR _custom THEN _low + (_high - _low) * _fraction
                WHEN _low > 0
                    THEN pow(2, log2(_low) + (log2(_high) - log2(_low)) * _fraction)
                ELSE -pow(2, log2(-_high) + (log2(-_low) - log2(-_high)) * (1 - _fraction))
            END AS _value
        FROM (
            SELECT
                *,
                if(
                    quantile < 0.5,
                    quantile * _all - _below,
                    _above + _n - (1 - quantile) * _all
                ) / _n AS _fraction,
                CASE
                    WHEN _custom AND _lower = '-Infinity' THEN least(_upper, 0)
                    WHEN NOT _custom AND _lower < 0 AND _upper > 0 AND _positive AND NOT _negative
                        THEN 0
                    ELSE _lower
                END AS _low,
                CASE
                    WHEN _custom AND _upper = 'Infinity' AND _lower > '-Infinity' THEN _lower
                    WHEN NOT _custom AND _lower < 0 AND _upper > 0 AND _negative AND NOT _positive
                        THEN 0
                    ELSE _upper
                END AS _high
            FROM (
                SELECT
                    *,
                    row_number() OVER (ORDER BY _lower, _upper) AS _place,
                    sum(_n) OVER () AS _all,
                    coalesce(sum(_n) OVER (
                        ORDER BY _lower, _upper ROWS BETWEEN UNBOUNDED PRECEDING AND 1 PRECEDING
                    ), 0) AS _below,
                    coalesce(sum(_n) OVER (
                        ORDER BY _lower, _upper ROWS BETWEEN 1 FOLLOWING AND UNBOUNDED FOLLOWING
                    ), 0) AS _above,
                    bool_or(_lower >= 0 AND _upper > 0) OVER () AS _positive,
                    bool_or(_lower < 0 AND _upper <= 0) OVER () AS _negative,
                    bool_or(
                        (_lower >= 0 OR _upper <= 0) AND _lower < _upper
                        AND NOT bucket_is_exponential(_lower, _upper)
                    ) OVER () AS _custom
                FROM (
                    SELECT min(_lower) AS _lower, max(_upper) AS _upper, sum(_n) AS _n
                    FROM (
                        SELECT *, count(*) FILTER (_begins) OVER (ORDER BY _lower, _upper) AS _part
                        FROM (
                            SELECT
                                *,
                                coalesce(_lower >= max(_upper) OVER (
                                    ORDER BY _lower, _upper
                                    ROWS BETWEEN UNBOUNDED PRECEDING AND 1 PRECEDING
                                ), true) AS _begins
                            FROM (
                                SELECT
                                    _bucket.lower AS _lower,
                                    _bucket.upper AS _upper,
                                    sum(_bucket.n) AS _n
                                FROM unnest(list({
                                    lower: CAST(bucket_lower AS DOUBLE),
                                    upper: CAST(bucket_upper AS DOUBLE),
                                    n: CAST(bucket_increase AS DOUBLE)
                                })) AS _buckets(_bucket)
                                WHERE _bucket.n IS NOT NULL
                                GROUP BY _lower, _upper
                            )
                        )
                    )
                    GROUP BY _part
                    HAVING sum(_n) > 0
                )
            )
        )
    )
);
