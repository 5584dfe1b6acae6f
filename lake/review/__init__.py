"""The periodic review of what is kept, for how long, and on which proof.

review      what a review has, as values
gathering   reading it from the store
page        one HTML page
recording   the page in the lake, and the audit entry

Belongs here: reading what other parts have stored. Does not: proving, deleting, holding.
"""

from lake.review.gathering import gather
from lake.review.page import render
from lake.review.recording import record
from lake.review.review import Review

__all__ = ["Review", "gather", "record", "render"]
