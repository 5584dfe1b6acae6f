"""What is wrong with this set-up, and what fixes it.

diagnosis                   all checks in their order; those of a system are its own
store, lag, expiry, privacy, alerts, tools   checks of no system

Belongs here: looking at everything that lake.toml names. Does not: fixing it.
"""

from lake.doctor.diagnosis import diagnose
from lake.systems.check import Check

__all__ = ["Check", "diagnose"]
