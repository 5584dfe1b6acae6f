-- The same of an input `histogram`
--
-- grain:      no row
SELECT
    CAST(NULL AS DATE) AS day,
    CAST(NULL AS BIGINT) AS series_id,
    CAST(NULL AS VARCHAR) AS metric,
    CAST(NULL AS DOUBLE) AS lower,
    CAST(NULL AS DOUBLE) AS upper,
    CAST(NULL AS DOUBLE) AS increase{columns}
WHERE false
