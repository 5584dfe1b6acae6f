"""An optional Iceberg catalog over the lake's own Parquet objects.

shape      which types each column has over all days, and its Iceberg type
schema     a table's schema and name mapping
catalog    which catalog: a SQLite file, or one of PyIceberg's configuration
syncing    a table's files, brought in line with the manifests

Belongs here: metadata of Iceberg. Does not: Parquet; nothing here writes or deletes an object of
the lake.
"""

from __future__ import annotations

from lake.iceberg.catalog import open_catalog
from lake.iceberg.syncing import Synced, sync_table

__all__ = ["Synced", "open_catalog", "sync_table"]
