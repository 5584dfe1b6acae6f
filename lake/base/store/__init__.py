"""Objects by key under one root: S3 or a directory, with one face.

Belongs here: whole-object reads, atomic replacement, listing. Does not: what the keys
mean (layout) or what the objects hold.
"""

from lake.base.store.face import ObjectStat, Store, Unfinished, Upload
from lake.base.store.opening import open_store

__all__ = ["ObjectStat", "Store", "Unfinished", "Upload", "open_store"]
