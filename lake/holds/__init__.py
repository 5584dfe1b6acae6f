"""Holds: days of data that nothing may delete, erase or let expire until they are released.

hold        one hold, as its object describes it
reading     the holds of a store, and which of them blocks what
changing    adding and releasing
protecting  S3 legal holds on the versions of held objects

Belongs here: holds. Does not: what is deleted (drop, retention, ttl), which each ask before.
"""

from lake.holds.hold import Hold, held_error
from lake.holds.reading import Holds, of

__all__ = ["Hold", "Holds", "held_error", "of"]
