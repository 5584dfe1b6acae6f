"""Rehearsals: snapshots restored temporarily and compared with the tables.

rehearsing  the order of the steps
choosing    which snapshots, and which days of them
comparing   a restored server with a partition; retyped: one that older rules typed
report      the report in the lake; page and plot: as HTML

Belongs here: which snapshots, the queries to both sides, times, the report. Does not:
restoring and serving themselves (lake.restore), when rehearsals happen.
"""

from lake.rehearse.rehearsing import rehearse
from lake.systems.comparison import Rehearsal

__all__ = ["Rehearsal", "rehearse"]
