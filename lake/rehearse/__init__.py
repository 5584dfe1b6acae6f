"""Rehearsals: snapshots restored temporarily and compared with the tables.

Belongs here: which snapshots, the queries to both sides, times, the report. Does not:
restoring and serving themselves (lake.restore), when rehearsals happen.
"""

from lake.rehearse.rehearsing import rehearse
from lake.systems.comparison import Rehearsal

__all__ = ["Rehearsal", "rehearse"]
