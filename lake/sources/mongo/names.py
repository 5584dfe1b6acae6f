"""Names that mean something in a Mongo table, and how its schema says ObjectId.

Belongs here: what both the writing and the rebuilding side have to agree on.
Does not: anything that takes long to import.
"""

from __future__ import annotations

REST, RAW = "_rest", "_raw"
FIXED_NAMES = frozenset({"day", REST, RAW})
OBJECT_ID_METADATA = {"bson": "objectId"}

# Names that make an object look like Extended JSON, of either version.
EXTENDED_NAMES = frozenset(
    b"$oid $symbol $numberInt $numberLong $numberDouble $numberDecimal $binary $uuid $code "
    b"$scope $timestamp $regularExpression $regex $options $dbPointer $date $ref $id $db "
    b"$minKey $maxKey $undefined $type".split()
)
