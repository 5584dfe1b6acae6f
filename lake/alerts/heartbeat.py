"""A dead-man switch: a URL whose owner raises an alarm when it is not requested any more.

Belongs here: the request. Does not: when it is due (cycle).
"""

from __future__ import annotations

from lake.alerts.posting import get
from lake.alerts.secrets import url_of
from lake.config.settings import Settings


def ping(settings: Settings) -> bool:
    """Requests the URL; False where none is configured. Raises Refused, TransientError."""
    url = url_of(settings.alerts, "heartbeat_url")
    if url:
        get("the heartbeat's receiver", url, settings.alerts.ca_file)
    return bool(url)
