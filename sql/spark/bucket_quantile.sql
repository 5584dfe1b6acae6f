-- A quantile by the buckets of Prometheus' classic histograms, as an aggregate of Spark SQL
--
-- grain:      one DOUBLE of the rows
-- inputs:     {le}, {increase}, {quantile}, as of the macro bucket_quantile
--
-- From inside out: the rows' increases by upper bound, in order; cumulative counts that never fall
-- (`upto`); the first bucket that reaches the quantile, and linear interpolation in it.
aggregate(
    array(transform(
        array_sort(map_entries(aggregate(
            collect_list(named_struct('le', try_cast({le} AS DOUBLE), 'n', {increase})),
            CAST(map() AS MAP<DOUBLE, DOUBLE>),
            (sums, row) -> if(
                row.le IS NULL OR row.n IS NULL,
                sums,
                map_concat(
                    map_filter(sums, (k, v) -> k <> row.le),
                    map(row.le, coalesce(try_element_at(sums, row.le), 0D) + row.n)
                )
            )
        ))),
        bucket -> named_struct('upper', bucket.key, 'n', bucket.value)
    )),
    CAST(NULL AS DOUBLE),
    (nothing, buckets) -> aggregate(
        array(transform(
            buckets,
            (b, place) -> named_struct(
                'upper', b.upper,
                'place', place + 1,
                'upto', array_max(transform(slice(buckets, 1, place + 1), x -> x.n))
            )
        )),
        CAST(NULL AS DOUBLE),
        (none, steps) -> CASE
            WHEN {quantile} < 0 THEN DOUBLE('-Infinity')
            WHEN {quantile} > 1 THEN DOUBLE('Infinity')
            WHEN size(steps) < 2 OR element_at(steps, -1).upper < DOUBLE('Infinity') THEN NULL
            WHEN element_at(steps, -1).upto <= 0 OR isnan(element_at(steps, -1).upto) THEN NULL
            ELSE coalesce(
                get(
                    transform(
                        filter(
                            slice(steps, 1, size(steps) - 1),
                            s -> s.upto >= {quantile} * element_at(steps, -1).upto
                        ),
                        s -> CASE
                            WHEN s.place = 1 AND s.upper <= 0 THEN s.upper
                            ELSE if(s.place = 1, 0D, get(steps, s.place - 2).upper)
                                + (s.upper - if(s.place = 1, 0D, get(steps, s.place - 2).upper))
                                * coalesce(try_divide(
                                    {quantile} * element_at(steps, -1).upto
                                        - if(s.place = 1, 0D, get(steps, s.place - 2).upto),
                                    s.upto - if(s.place = 1, 0D, get(steps, s.place - 2).upto)
                                ), CAST(NULL AS DOUBLE))
                        END
                    ),
                    0
                ),
                get(steps, size(steps) - 2).upper
            )
        END
    )
)
