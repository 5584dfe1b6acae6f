"""What is wrong with this set-up, and what mends it.

store, mongo, prometheus, loki, lag, snapshots, tools   the checks
check                                                   what a check says

Belongs here: looking at everything that lake.toml names. Does not: mending.
"""

from lake.systems.check import Check
from lake.doctor.diagnosis import diagnose

__all__ = ["Check", "diagnose"]
