"""A test message to every channel.

Belongs here: the message, the report on each channel. Does not: channels.
"""

from __future__ import annotations

import socket
from dataclasses import replace
from datetime import timedelta

from lake.alerts.alert import Alert
from lake.alerts.channels import Delivery, deliver, open_channels
from lake.alerts.heartbeat import ping
from lake.base.clock import utc_now
from lake.base.errors import LakeError
from lake.config.settings import Settings

_KEPT = timedelta(minutes=5)


def is_configured(settings: Settings) -> bool:
    """Whether there is a channel or a heartbeat."""
    section = settings.alerts
    heartbeat = section.heartbeat_url.get_secret_value() or section.heartbeat_url_file
    return bool(open_channels(settings) or heartbeat)


def test_all(settings: Settings) -> list[Delivery]:
    """What each channel made of a test message, the heartbeat's receiver last."""
    now = utc_now()
    message = Alert(
        "LakeTest",
        "info",
        "test message of monitoring-lake",
        f"Sent by `lake alert test` on {socket.gethostname()}. Nothing is wrong.",
        started_at=now,
    )
    deliveries: list[Delivery] = []
    for channel in open_channels(settings):
        ending = replace(message, ended_at=now + _KEPT) if channel.keeps_state else message
        deliveries += deliver([channel], ending)
    try:
        if ping(settings):
            deliveries.append(Delivery("heartbeat"))
    except LakeError as error:
        deliveries.append(Delivery("heartbeat", error))
    return deliveries
