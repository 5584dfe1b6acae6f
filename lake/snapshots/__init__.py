"""Raw snapshots: one module a system, and what they share.

Belongs here: what a snapshot of each system consists of, its manifest, its way into the
store and back. Does not: the order of a whole snapshot or restore (lake.snapshot, lake.restore).
"""
