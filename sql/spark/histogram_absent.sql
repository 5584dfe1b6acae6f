-- A trend's input `histogram` that is not read, instead of which others are
--
-- grain:      no row
SELECT
    CAST(NULL AS DATE) AS day,
    CAST(NULL AS BIGINT) AS series_id,
    CAST(NULL AS STRING) AS metric,
    CAST(NULL AS DOUBLE) AS lower,
    CAST(NULL AS DOUBLE) AS upper,
    CAST(NULL AS DOUBLE) AS increase{columns}
WHERE false
