-- How much a counter grew since the sample before, corrected for resets
--
-- grain:      one value a sample: the growth in (sample before, sample]
-- parameters: sample_value  the counter's value; NULL (a stale marker, NaN) is no sample
--             series        what distinguishes series: series_id
--             sample_ts     the sample's time
--             query_starts  when the dataset's query was changed, see query_start_of
--
-- A value below the one before is a restart from 0, so all of it is growth. A series' first
-- sample has none before it: where other series were seen more than 5 minutes earlier, the series
-- was born at 0 since then and all of its value is growth; where it is among the first samples of
-- all, nothing is known of the time before and the growth is 0 (is_birth). So read one day more than
-- is wanted and leave that day out of the answer.
-- A window function: use it in a subquery, then sum it. It sorts the range's samples: beyond 1 GB
-- they are spilled to TMPDIR, some 50 bytes a sample, and a quarter of 155 million samples takes
-- minutes. The same growth of a series and day: increase_by_day, from rollups in a second, and
-- samples_increase_by_day.
CREATE OR REPLACE MACRO counter_increase(sample_value, series, sample_ts, query_starts := NULL) AS
CASE
    WHEN lag(sample_value IGNORE NULLS) OVER (PARTITION BY series ORDER BY sample_ts) IS NULL
        THEN if(
            is_birth(
                sample_ts,
                min(sample_ts) FILTER (sample_value IS NOT NULL)
                    OVER (PARTITION BY query_start_of(query_starts, sample_ts))
            ),
            sample_value,
            0
        )
    WHEN sample_value < lag(sample_value IGNORE NULLS) OVER (PARTITION BY series ORDER BY sample_ts)
        THEN sample_value
    ELSE sample_value - lag(sample_value IGNORE NULLS) OVER (PARTITION BY series ORDER BY sample_ts)
END;
