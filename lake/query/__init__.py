"""SQL over the lake: the analyst's side.

the session   session, connection, limits, statements (which are allowed), s3, proxies
manifests     manifests (read by DuckDB), stored (the tables that they describe), cached_store,
              small_objects
types         kinds (of one schema), merged (over the days), numbers, spellings, inexact
tables        tables, texts (SQL by days), casts, exact (`_rest`), fields, levels, zones, hourly,
              rollup_cache, partitions
one time axis timeline (lines and documents), time_axis (samples as well)
a statement   question, understanding, expressions, estimate
its answer    answers, notes (what it lacks), growth, metrics, failures

Belongs here: a DuckDB session with every dataset as a view and as a table macro, and
what the days' schemas have in common. Does not: the trends (lake.trends), the catalog file
(lake.catalog), how answers are printed.

    from lake.query import connect

    lake = connect()
    lake.sql("SELECT day, count(*) FROM usage_analytics GROUP BY day ORDER BY day")
"""

from __future__ import annotations

from lake.config.settings import Settings, load
from lake.query.answers import Answer, ArrowAnswer
from lake.query.session import Lake

__all__ = ["Answer", "ArrowAnswer", "Lake", "connect"]


def connect(config: str | Settings | None = None) -> Lake:
    """A session on the lake of that configuration: a file's path, settings, or None for
    LAKE_CONFIG and ./lake.toml. Raises ConfigError, Refused.
    """
    return Lake(config if isinstance(config, Settings) else load(config))
