-- The sketch of all values that several sketches hold
--
-- grain:      one MAP(bucket, count) of the rows; an aggregate; empty where there is no value
-- parameters: merged_sketch  a column of sketches; NULL counts as empty
--
-- Merging loses nothing: the result is the sketch of the values themselves.
CREATE OR REPLACE MACRO sketch_merge(merged_sketch) AS (
    SELECT coalesce(
        map(list(_bucket ORDER BY _bucket), list(_count ORDER BY _bucket)),
        CAST(MAP {} AS MAP(INTEGER, UBIGINT))
    )
    FROM (
        SELECT _entry.key AS _bucket, CAST(sum(_entry.value) AS UBIGINT) AS _count
        FROM unnest(flatten(list(map_entries(merged_sketch)))) AS _entries(_entry)
        GROUP BY _bucket
    )
);
