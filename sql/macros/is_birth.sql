-- Whether a series without a sample before was born at 0, by the time of its first one
--
-- grain:      one BOOLEAN
-- parameters: first_sample_ts  the time of the series' first sample
--             earliest_ts      that of the first sample of all series, by the same query of the
--                              dataset (query_start_of)
--
-- Targets are scraped one after the other within an interval. A series whose first sample is within
-- Prometheus' look-back (5 minutes) of the first of all may be as old as that one: nothing is known of
-- the time before. A later one was not there when the others were read.
CREATE OR REPLACE MACRO is_birth(first_sample_ts, earliest_ts) AS
epoch_ms(first_sample_ts) - epoch_ms(earliest_ts) > 5 * 60 * 1000;
