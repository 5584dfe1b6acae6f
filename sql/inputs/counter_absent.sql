-- A trend's input `counter` that the lake does not have, of those of which one is enough
--
-- grain:      no row
SELECT
    CAST(NULL AS DATE) AS day,
    CAST(NULL AS BIGINT) AS series_id,
    CAST(NULL AS VARCHAR) AS metric,
    CAST(NULL AS DOUBLE) AS increase{columns}
WHERE false
