"""Are the channels of [alerts] complete, and do they respond?

Belongs here: secrets, addresses, whether a server is there. Does not: a message: `lake alert test`
sends one.
"""

from __future__ import annotations

from collections.abc import Iterator

from lake.alerts.channels import open_channels
from lake.alerts.heartbeat import look_for
from lake.base.errors import LakeError
from lake.config.settings import Settings
from lake.systems.check import Check, failed

_TEST = "lake alert test sends a message to each"


def check(settings: Settings) -> Iterator[Check]:
    """One check per channel; nothing is sent to any."""
    channels = open_channels(settings)
    for channel in channels:
        try:
            channel.probe()
        except LakeError as error:
            yield failed(f"alerts by {channel.name}", error)
        else:
            yield Check(f"alerts by {channel.name}", "ok", f"it responds; {_TEST}")
    try:
        if look_for(settings):
            yield Check("alerts by heartbeat", "ok", f"it responds; {_TEST}")
    except LakeError as error:
        yield failed("alerts by heartbeat", error)
    if not channels:
        yield Check(
            "alerts",
            "warn",
            "no channel is configured: failures are not sent, unless Prometheus has the rules "
            "of deploy/prometheus/rules",
            "set LAKE_ALERTS__WEBHOOK_URL, or [alerts] alertmanager_url or [alerts.email] host, "
            "sender and to; then run: lake alert test",
        )
