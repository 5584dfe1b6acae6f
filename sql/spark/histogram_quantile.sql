-- The macro histogram_quantile(lower, upper, increase, q) where there are no buckets: native
-- histograms are not read in Spark
CASE WHEN count({increase}) > 0
    THEN CAST(raise_error('native histograms are not read in Spark') AS DOUBLE)
END
