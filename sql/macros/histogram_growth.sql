-- How much a native histogram grew between two samples, bucket by bucket
--
-- grain:      one LIST(STRUCT(lower, upper, increase)): the buckets of the later sample
-- parameters: before  the earlier sample: a STRUCT with `count` and `buckets`, such as the column
--                     `histogram`; NULL: all of the later one is growth
--             after   the later sample
--
-- Corrected for resets (histogram_reset): all of the later sample is growth then.
CREATE OR REPLACE MACRO histogram_growth(before, after) AS
list_transform(
    list_zip(
        after.buckets,
        CASE
            WHEN histogram_reset(before, after) THEN NULL
            ELSE histogram_carried(before, after)
        END
    ),
    lambda _pair: {
        lower: _pair[1].lower,
        upper: _pair[1].upper,
        increase: _pair[1].count - coalesce(_pair[2], 0)
    }
);
