"""Key prefixes below the root, as the bucket's rules need them.

Belongs here: prefixes by what may happen to them. Does not: keys of single objects.
"""

from __future__ import annotations

from lake.audit import AUDIT
from lake.config.systems import packages
from lake.erased import ERASURES
from lake.holds.hold import PREFIX as HOLDS
from lake.partition.layout import MANIFESTS, ROLLUPS, TABLES
from lake.retired import RETENTION

REPORTS = "reports/"
GUARD = "guard/"
# Parquet that queries read.
QUERIED = (TABLES, ROLLUPS)
# Overwritten every day, or written and deleted: their old versions are worth nothing for long.
OVERWRITTEN = (TABLES, ROLLUPS, MANIFESTS, REPORTS, GUARD)
# Read at any time, so never in a class that needs a restore first.
READ_AT_ONCE = (*OVERWRITTEN, AUDIT, HOLDS, RETENTION, ERASURES)


def snapshots() -> tuple[str, ...]:
    """A prefix per system."""
    return tuple(f"{name}/" for name in packages())
