"""Objects by key under one root: S3 or a directory, behind one protocol.

protocol     what every store can do
opening      from settings to a store
directory    a directory as a store
s3           S3 as a store: s3_connection, s3_session, s3_upload, s3_failures
listed_once  a store whose folders are listed once
several      several small objects at once

Belongs here: whole-object reads, atomic replacement, listing. Does not: what the keys
mean (layout) or what the objects hold.
"""

from lake.store.opening import open_store
from lake.store.protocol import ObjectStat, ObjectVersion, Store, Unfinished, Upload

__all__ = ["ObjectStat", "ObjectVersion", "Store", "Unfinished", "Upload", "open_store"]
