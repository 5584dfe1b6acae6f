"""monitoring-lake: days of MongoDB, Prometheus and Loki as verified Parquet.

`lake` holds the library and its command line. It never imports Dagster: the
shell in `assets` imports `lake`, not the other way round.
"""

__version__ = "0.1.0"
