-- A quantile by the buckets of Prometheus' classic histograms, as histogram_quantile computes it
--
-- grain:      one DOUBLE of the rows; an aggregate
-- parameters: bucket_le        the label le: the bucket's upper bound, such as '0.5' or '+Inf'
--             bucket_increase  the growth of that bucket's counter; a bound's rows are summed
--             quantile         from 0 to 1; below it is -Infinity, above Infinity
--
-- Buckets are cumulative, as Prometheus stores them. Linear within a bucket, whose lower bound is
-- that of the bucket before, or 0; in the bucket +Inf the result is its lower bound. NULL, where
-- PromQL has NaN: no bucket +Inf, no other bucket, or no growth. NULL, too, where a
-- bucket's growth is NaN.
-- By functions of lists: a subquery takes time by the square of the rows.
CREATE OR REPLACE MACRO bucket_quantile(bucket_le, bucket_increase, quantile) AS
-- Step by step, each with the lists of the one before: rows by their bound, where each bound's rows
-- begin, a sum a bound, what is up to each bound.
list_transform(list_transform(list_transform(list_transform(
    [list_sort(list({
        upper: TRY_CAST(bucket_le AS DOUBLE) + 0.0,
        n: CAST(bucket_increase AS DOUBLE)
    }) FILTER (bucket_increase IS NOT NULL AND TRY_CAST(bucket_le AS DOUBLE) IS NOT NULL))],
    lambda _b: {
        q: CAST(quantile AS DOUBLE),
        uppers: list_transform(_b, lambda _x: _x.upper),
        counts: list_transform(_b, lambda _x: _x.n)
    }),
    lambda _b: {
        q: _b.q,
        uppers: _b.uppers,
        counts: _b.counts,
        starts: list_transform(
            list_sort(list_distinct(_b.uppers)), lambda _x: list_position(_b.uppers, _x)
        )
    }),
    lambda _b: {
        q: _b.q,
        uppers: list_transform(_b.starts, lambda _i: _b.uppers[_i]),
        sums: list_transform(
            range(1, len(_b.starts) + 1),
            lambda _i: list_sum(
                _b.counts[_b.starts[_i]:coalesce(_b.starts[_i + 1] - 1, len(_b.counts))]
            )
        )
    }),
    lambda _b: bucket_quantile_of(
        _b.q,
        _b.uppers,
        list_transform(range(1, len(_b.sums) + 1), lambda _i: list_max(_b.sums[:_i]))
    )
)[1];
