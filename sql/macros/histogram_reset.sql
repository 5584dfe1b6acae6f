-- Whether a native histogram was reset between two samples
--
-- grain:      one BOOLEAN; NULL where there is no earlier sample
-- parameters: before  the earlier sample: a STRUCT with `count` and `buckets`, such as the column
--                     `histogram`
--             after   the later sample
--
-- As PromQL finds it in samples without a hint: the count or a bucket's is smaller than before, or
-- a bucket is gone. So is a finer resolution, and a narrower zero bucket that held anything.
CREATE OR REPLACE MACRO histogram_reset(before, after) AS
if(
    before IS NOT NULL,
    (after.count < before.count AND NOT isnan(before.count))
    OR coalesce(
        list_bool_or(list_transform(
            list_zip(after.buckets, histogram_carried(before, after)),
            lambda _pair: _pair[1].count < _pair[2] AND NOT isnan(_pair[2])
        )),
        len(before.buckets) > 0
    ),
    NULL
);
