-- Since when the dataset has had the query by which a sample was selected
--
-- grain:      one TIMESTAMPTZ; NULL before the first change
-- parameters: query_starts  when the query was changed: a LIST of TIMESTAMPTZ, or NULL
--             selected_ts   the sample's time
--
-- Samples are compared with others of the same query: one that only a changed query selects may be of
-- an old series, though its series has none before.
CREATE OR REPLACE MACRO query_start_of(query_starts, selected_ts) AS
CASE
    -- A constant, which costs nothing for each row.
    WHEN coalesce(len(query_starts), 0) = 0 THEN NULL
    ELSE list_max(list_filter(
        CAST(query_starts AS TIMESTAMPTZ[]), lambda _start: _start <= selected_ts
    ))
END;
