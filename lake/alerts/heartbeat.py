"""A dead-man switch: a URL whose service raises an alarm when requests stop.

Belongs here: the request. Does not: when it is due (cycle).
"""

from __future__ import annotations

from lake.alerts.posting import get, probe
from lake.alerts.secrets import url_of
from lake.config.settings import Settings

_WHAT = "the heartbeat's receiver"


def ping(settings: Settings) -> bool:
    """Requests the URL; False where none is configured. Raises Refused, TransientError."""
    url = url_of(settings.alerts, "heartbeat_url")
    if url:
        get(_WHAT, url, settings.alerts.ca_file)
    return bool(url)


def look_for(settings: Settings) -> bool:
    """Whether one is configured; checks only that the URL's host answers. Raises
    TransientError and ConfigError.
    """
    url = url_of(settings.alerts, "heartbeat_url")
    if url:
        probe(_WHAT, url, settings.alerts.ca_file)
    return bool(url)
