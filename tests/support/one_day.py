"""A run of many tests lies within one UTC day.

Belongs here: waiting for midnight where it is near. Does not: what the commands do when midnight
passes while they run (tests of each).
"""

from __future__ import annotations

import time
from datetime import datetime, timedelta

import pytest

from lake.base.clock import utc_now

# Of the whole suite, with a third more for a slower machine.
_LONGEST = timedelta(minutes=20)


def until_midnight(now: datetime) -> timedelta:
    """How long a run of many tests has to wait so that midnight does not come in its middle."""
    midnight = now.replace(hour=0, minute=0, second=0, microsecond=0) + timedelta(days=1)
    left = midnight - now
    return left if left < _LONGEST else timedelta(0)


@pytest.hookimpl(tryfirst=True)  # before pytest-xdist starts its workers
def pytest_sessionstart(session: pytest.Session) -> None:
    """Tests and the servers that they share take the day of their beginning for today."""
    several_at_a_time = session.config.getoption("numprocesses", None)
    if not several_at_a_time or not (wait := until_midnight(utc_now())):
        return
    reporter = session.config.pluginmanager.get_plugin("terminalreporter")
    reporter.write_line(
        f"Midnight (UTC) is near, and the tests need to run within one day: they begin in"
        f" {wait.total_seconds() / 60:.0f} min. A few of them, without -n, need not wait."
    )
    reporter.flush()
    time.sleep(wait.total_seconds() + 1)
