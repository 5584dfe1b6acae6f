-- Since when a dataset's query selects what it selects now, and did before
--
-- grain:      one LIST of TIMESTAMPTZ: the beginning of each day whose query is not that of the day before
-- parameters: of_dataset  the dataset's name, a text
--
-- A session and the catalog file define it by the manifests.
CREATE OR REPLACE MACRO query_starts_of(of_dataset) AS
CAST([] AS TIMESTAMPTZ[]);
