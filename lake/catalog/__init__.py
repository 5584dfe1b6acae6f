"""The lake's tables and macros as a DuckDB file, for tools that speak to DuckDB.

writing    the file, and how it is opened
comments   what tables and columns mean, as COMMENT ON
age        how old the file is, and what the lake has that it lacks

Belongs here: what is in the file. Does not: the tables' SQL (lake.query).
"""

from __future__ import annotations

from lake.catalog.writing import opening_script, opening_statements, write_catalog

__all__ = ["opening_script", "opening_statements", "write_catalog"]
