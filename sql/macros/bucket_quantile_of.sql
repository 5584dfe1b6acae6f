-- A quantile of cumulative buckets: the last step of bucket_quantile
--
-- grain:      one DOUBLE
-- parameters: quantile       from 0 to 1
--             sorted_uppers  a LIST of upper bounds, sorted
--             sorted_upto    a LIST of what is up to each bound, which never falls
CREATE OR REPLACE MACRO bucket_quantile_of(quantile, sorted_uppers, sorted_upto) AS
CASE
    WHEN isnan(CAST(quantile AS DOUBLE)) THEN NULL
    WHEN quantile < 0 THEN CAST('-Infinity' AS DOUBLE)
    WHEN quantile > 1 THEN CAST('Infinity' AS DOUBLE)
    WHEN coalesce(sorted_uppers[-1], 0) < CAST('Infinity' AS DOUBLE) OR len(sorted_uppers) < 2
        THEN NULL
    WHEN sorted_upto[-1] <= 0 OR isnan(sorted_upto[-1]) THEN NULL
    -- Next to a bound of -Infinity it may be no number.
    ELSE list_transform(list_transform(list_transform(
        [{
            uppers: sorted_uppers,
            upto: sorted_upto,
            wanted: quantile * sorted_upto[-1]
        }],
        lambda _b: {
            uppers: _b.uppers,
            upto: _b.upto,
            wanted: _b.wanted,
            place: list_filter(
                range(1, len(_b.upto)), lambda _i: _b.upto[_i] >= _b.wanted
            )[1]
        }),
        lambda _b: CASE
            WHEN _b.place IS NULL THEN _b.uppers[-2]
            WHEN _b.place = 1 AND _b.uppers[1] <= 0 THEN _b.uppers[1]
            WHEN _b.place = 1 THEN _b.uppers[1] * (_b.wanted / nullif(_b.upto[1], 0))
            ELSE _b.uppers[_b.place - 1]
                + (_b.uppers[_b.place] - _b.uppers[_b.place - 1])
                * (
                    (_b.wanted - _b.upto[_b.place - 1])
                    / nullif(_b.upto[_b.place] - _b.upto[_b.place - 1], 0)
                )
        END
    ), lambda _value: if(isnan(_value), NULL, _value))[1]
END;
