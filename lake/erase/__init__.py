"""Erasure: rows that a condition matches are removed from the days that have them.

condition  what may be written as a condition
planning   which days have matching rows
copies     where else the rows may be: snapshots, earlier versions, leftovers, other datasets
rewriting  a day without them, as a file, and its proof
erasing    the order of the steps: record, audit log, days, rollups

Belongs here: erasing rows. Does not: the record that exports look at (lake.erased), column
rules (lake.privacy), removing whole days (drop, retention).
"""

from lake.erase.condition import Condition
from lake.erase.erasing import ErasureResult, erase
from lake.erase.planning import DayPlan, ErasurePlan, Planner

__all__ = ["Condition", "DayPlan", "ErasurePlan", "ErasureResult", "Planner", "erase"]
