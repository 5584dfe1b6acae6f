"""Property tests without deadlines.

Belongs here: what hypothesis measures by the clock, which says little on a busy machine: how long
an example takes, and how long data take to draw. Time-outs of whole tests are pytest-timeout's.
"""

from __future__ import annotations

from hypothesis import HealthCheck, settings

# On the present profile: CI has one of its own.
settings.register_profile(
    "patient", settings(), deadline=None, suppress_health_check=[HealthCheck.too_slow]
)
settings.load_profile("patient")
