"""Raw snapshots: what the snapshots of all systems share.

Belongs here: a snapshot's manifest, and the way of its files into the store and back.
Does not: the order of a whole snapshot or restore (lake.snapshot, lake.restore).
"""
