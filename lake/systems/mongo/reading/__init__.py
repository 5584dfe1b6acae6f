"""MongoDB: documents as typed columns, with nothing lost.

Belongs here: asking MongoDB for a day, BSON to Arrow and back.
Does not: raw backups of whole databases (snapshots).
"""

from lake.systems.mongo.reading.reader import MongoReader
from lake.systems.mongo.reading.rebuild import rebuild

__all__ = ["MongoReader", "rebuild"]
