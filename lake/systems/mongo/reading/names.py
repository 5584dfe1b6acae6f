"""Names that mean something in a Mongo table, and the version of its typing rules.

Belongs here: what both the writing and the rebuilding side have to agree on.
Does not: anything that takes long to import.
"""

from __future__ import annotations

REST, RAW = "_rest", "_raw"
FIXED_NAMES = frozenset({"day", REST, RAW})
# The BSON type of a VARCHAR column that holds no strings, in its Arrow field's metadata.
BSON = "bson"
OBJECT_ID, UUID, BINARY3 = "objectId", "uuid", "binary3"
# The rules by which a day's columns get their types, in the manifest's `details.typing`.
# 2: numbers unify, UUIDs are columns, rare names hide nothing. Absent: older rules.
TYPING = 2

# Names that make an object look like Extended JSON, of either version.
EXTENDED_NAMES = frozenset(
    b"$oid $symbol $numberInt $numberLong $numberDouble $numberDecimal $binary $uuid $code "
    b"$scope $timestamp $regularExpression $regex $options $dbPointer $date $ref $id $db "
    b"$minKey $maxKey $undefined $type".split()
)
