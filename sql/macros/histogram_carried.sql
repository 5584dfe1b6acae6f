-- The counts of a native histogram's earlier sample in the buckets of a later one
--
-- grain:      one LIST(DOUBLE): a count for each bucket of the later sample; NULL where a bucket of
--             the earlier sample is in none of them
-- parameters: before  the earlier sample: a STRUCT with `buckets`, such as the column `histogram`
--             after   the later sample
--
-- The same bounds, and more of them, are the usual cases, and quick. A later sample may also have
-- wider buckets: a coarser resolution, a wider zero bucket.
CREATE OR REPLACE MACRO histogram_carried(before, after) AS
CASE
    WHEN list_transform(before.buckets, lambda _b: _b.upper)
        = list_transform(after.buckets, lambda _a: _a.upper)
        AND list_transform(before.buckets, lambda _b: _b.lower)
        = list_transform(after.buckets, lambda _a: _a.lower)
        THEN list_transform(before.buckets, lambda _b: _b.count)
    WHEN list_has_all(
        list_transform(after.buckets, lambda _a: row(_a.lower, _a.upper)),
        list_transform(before.buckets, lambda _b: row(_b.lower, _b.upper))
    ) AND list_unique(list_transform(after.buckets, lambda _a: _a.upper)) = len(after.buckets)
        THEN list_transform(
            [{
                uppers: list_transform(before.buckets, lambda _b: _b.upper),
                counts: list_transform(before.buckets, lambda _b: _b.count),
                later: list_transform(after.buckets, lambda _a: _a.upper)
            }],
            lambda _both: list_transform(
                _both.later,
                lambda _upper: coalesce(_both.counts[list_position(_both.uppers, _upper)], 0)
            )
        )[1]
    WHEN list_bool_and(list_transform(
        before.buckets,
        lambda _b: list_bool_or(list_transform(after.buckets, lambda _a: bucket_holds(_a, _b)))
    ))
        THEN list_transform(
            after.buckets,
            lambda _a: list_sum(list_transform(
                before.buckets, lambda _b: if(bucket_holds(_a, _b), _b.count, 0)
            ))
        )
END;
