-- A quantile of disjoint buckets: the last step of histogram_quantile
--
-- grain:      one DOUBLE
-- parameters: quantile        from 0 to 1
--             sorted_buckets  a LIST of lower, upper and n, which is above 0; disjoint, sorted
--
-- From the nearer end, as PromQL: where the rank is between two buckets, that decides.
CREATE OR REPLACE MACRO histogram_quantile_of(quantile, sorted_buckets) AS
CASE
    WHEN isnan(CAST(quantile AS DOUBLE)) THEN NULL
    WHEN quantile < 0 THEN CAST('-Infinity' AS DOUBLE)
    WHEN quantile > 1 THEN CAST('Infinity' AS DOUBLE)
    ELSE list_transform(list_transform(list_transform(list_transform(
        [{
            q: quantile,
            buckets: sorted_buckets,
            counts: list_transform(sorted_buckets, lambda _x: _x.n),
            n_all: list_sum(list_transform(sorted_buckets, lambda _x: _x.n))
        }],
        lambda _s: {
            q: _s.q,
            buckets: _s.buckets,
            counts: _s.counts,
            n_all: _s.n_all,
            place: if(
                _s.q < 0.5,
                list_filter(
                    range(1, len(_s.counts) + 1),
                    lambda _i: list_sum(_s.counts[:_i]) >= _s.q * _s.n_all
                )[1],
                list_filter(
                    range(1, len(_s.counts) + 1),
                    lambda _i: list_sum(_s.counts[_i:]) >= (1 - _s.q) * _s.n_all
                )[-1]
            )
        }),
        lambda _s: {
            bucket: _s.buckets[_s.place],
            fraction: if(
                _s.q < 0.5,
                _s.q * _s.n_all - coalesce(list_sum(_s.counts[:_s.place - 1]), 0),
                list_sum(_s.counts[_s.place:]) - (1 - _s.q) * _s.n_all
            ) / _s.counts[_s.place],
            positive: list_bool_or(list_transform(
                _s.buckets, lambda _x: _x.lower >= 0 AND _x.upper > 0
            )),
            negative: list_bool_or(list_transform(
                _s.buckets, lambda _x: _x.lower < 0 AND _x.upper <= 0
            )),
            custom: list_bool_or(list_transform(
                _s.buckets,
                lambda _x: (_x.lower >= 0 OR _x.upper <= 0) AND _x.lower < _x.upper
                    AND NOT bucket_is_exponential(_x.lower, _x.upper)
            ))
        }),
        lambda _s: {
            fraction: _s.fraction,
            custom: _s.custom,
            low: CASE
                WHEN _s.custom AND _s.bucket.lower = '-Infinity' THEN least(_s.bucket.upper, 0)
                WHEN NOT _s.custom AND _s.bucket.lower < 0 AND _s.bucket.upper > 0
                    AND _s.positive AND NOT _s.negative THEN 0
                ELSE _s.bucket.lower
            END,
            high: CASE
                WHEN _s.custom AND _s.bucket.upper = 'Infinity' AND _s.bucket.lower > '-Infinity'
                    THEN _s.bucket.lower
                WHEN NOT _s.custom AND _s.bucket.lower < 0 AND _s.bucket.upper > 0
                    AND _s.negative AND NOT _s.positive THEN 0
                ELSE _s.bucket.upper
            END
        }),
        lambda _s: CASE
            WHEN _s.low <= 0 AND _s.high >= 0 OR _s.custom
                THEN _s.low + (_s.high - _s.low) * _s.fraction
            WHEN _s.low > 0
                THEN pow(2, log2(_s.low) + (log2(_s.high) - log2(_s.low)) * _s.fraction)
            ELSE -pow(
                2, log2(-_s.high) + (log2(-_s.low) - log2(-_s.high)) * (1 - _s.fraction)
            )
        END
    )[1]
END;
