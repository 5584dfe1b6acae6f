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
-- By functions of lists: a subquery is computed for each list, and of many series those are long.
CREATE OR REPLACE MACRO histogram_quantile(
    bucket_lower, bucket_upper, bucket_increase, quantile
) AS
-- Step by step, each with the lists of the one before: sorted rows, buckets by their lower bound,
-- those that overlap as one, what is below and above each, the bucket of the rank.
list_transform(list_transform(list_transform(list_transform(list_transform(list_transform(
    [list_sort(list({
        lower: CAST(bucket_lower AS DOUBLE) + 0.0,
        upper: CAST(bucket_upper AS DOUBLE),
        n: CAST(bucket_increase AS DOUBLE)
    }) FILTER (bucket_increase IS NOT NULL))],
    lambda _b: {
        q: CAST(quantile AS DOUBLE),
        lowers: list_transform(_b, lambda _x: _x.lower),
        uppers: list_transform(_b, lambda _x: _x.upper),
        counts: list_transform(_b, lambda _x: _x.n)
    }),
    -- Buckets that begin together overlap.
    lambda _b: {
        q: _b.q,
        lowers: _b.lowers,
        uppers: _b.uppers,
        counts: _b.counts,
        starts: list_transform(
            list_sort(list_distinct(_b.lowers)), lambda _x: list_position(_b.lowers, _x)
        )
    }),
    lambda _b: {
        q: _b.q,
        buckets: list_transform(
            range(1, len(_b.starts) + 1),
            lambda _i: {
                lower: _b.lowers[_b.starts[_i]],
                upper: list_max(_b.uppers[
                    _b.starts[_i]:coalesce(_b.starts[_i + 1] - 1, len(_b.lowers))
                ]),
                n: list_sum(_b.counts[
                    _b.starts[_i]:coalesce(_b.starts[_i + 1] - 1, len(_b.lowers))
                ])
            }
        )
    }),
    lambda _b: {
        q: _b.q,
        buckets: _b.buckets,
        starts: list_filter(
            range(1, len(_b.buckets) + 1),
            lambda _i: _i = 1 OR _b.buckets[_i].lower
                >= list_max(list_transform(_b.buckets[:_i - 1], lambda _x: _x.upper))
        )
    }),
    lambda _b: {
        q: _b.q,
        buckets: list_filter(
            list_transform(
                range(1, len(_b.starts) + 1),
                lambda _i: {
                    lower: _b.buckets[_b.starts[_i]].lower,
                    upper: list_max(list_transform(
                        _b.buckets[
                            _b.starts[_i]:coalesce(_b.starts[_i + 1] - 1, len(_b.buckets))
                        ],
                        lambda _x: _x.upper
                    )),
                    n: list_sum(list_transform(
                        _b.buckets[
                            _b.starts[_i]:coalesce(_b.starts[_i + 1] - 1, len(_b.buckets))
                        ],
                        lambda _x: _x.n
                    ))
                }
            ),
            lambda _x: _x.n > 0
        )
    }),
    lambda _b: histogram_quantile_of(_b.q, _b.buckets)
)[1];
