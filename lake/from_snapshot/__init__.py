"""Tables of days that the source no longer has, or of datasets defined later, from snapshots.

choosing    which snapshot each day is read from
source      a restored server as a source, with the snapshot in the manifest
exporting   each snapshot restored once, its days exported

Belongs here: exports that read a restored server. Does not: restoring (lake.restore), what an
export is (lake.export), what a system's snapshot proves (its `require_held`).
"""

from lake.from_snapshot.exporting import export_from_snapshots

__all__ = ["export_from_snapshots"]
