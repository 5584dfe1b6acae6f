"""Objects by key under one root: S3 or a directory, behind one protocol.

Belongs here: whole-object reads, atomic replacement, listing. Does not: what the keys
mean (layout) or what the objects hold.
"""

from lake.store.opening import open_store
from lake.store.protocol import ObjectStat, ObjectVersion, Store, Unfinished, Upload

__all__ = ["ObjectStat", "ObjectVersion", "Store", "Unfinished", "Upload", "open_store"]
