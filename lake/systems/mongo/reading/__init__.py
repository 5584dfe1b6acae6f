"""MongoDB: documents as typed columns, with nothing lost.

requests    reader (a day), connection (errors), uri, ahead (prefetching)
documents   locate and spool (a day in order), ruled (column rules), elements, same
columns     scan and paths (every value), kinds, numbers, schema (which columns), settle (which
            values stay), columns (Arrow arrays), left_out, extended (`_rest`), table
Parquet     layout, samples, names (of the table)
back        rebuild (a row as its document)
loops/      the compiled part of all of these

A BSON type gets a column by a kind: `kinds` lists it, `loops.value` recognises its values, `schema`
chooses it, `columns` with `loops.fill` make its arrays, `rebuild` makes BSON of it again.

Belongs here: requesting a day from MongoDB, BSON to Arrow and back.
Does not: raw backups of whole databases (snapshots).
"""

from lake.systems.mongo.reading.reader import MongoReader
from lake.systems.mongo.reading.rebuild import rebuild

__all__ = ["MongoReader", "rebuild"]
