"""The expiry guard: nothing expires at a source before the lake has proven that it holds it.

site      what a guard works with
terms     `[ttl]` for one dataset
unguarded limits that no guard looks after any more
proof     whether the lake holds a day as the source has it now
plan      which limit may be set, and why not the wanted one
turn      one guard at a time, and what it remembers
apply     sets the limits of a plan, checks again, writes the audit log
silence   guards that have not run

Belongs here: deciding and setting limits. Does not: what is of one system only (its `expiry`),
exporting days that are missing.
"""

from lake.ttl.apply import AppliedLimit, apply
from lake.ttl.plan import ExpiryPlan, make_plans
from lake.ttl.silence import Silence, silences
from lake.ttl.site import GuardSite

__all__ = ["AppliedLimit", "ExpiryPlan", "GuardSite", "Silence", "apply", "make_plans", "silences"]
