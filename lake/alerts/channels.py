"""The configured channels, and sending to all of them.

Belongs here: what a channel is, opening them, one failure that stops no other. Does not: any
channel's protocol.
"""

from __future__ import annotations

import time
from collections.abc import Collection, Iterator
from dataclasses import dataclass
from typing import Protocol

from lake.alerts.alert import Alert
from lake.alerts.alertmanager import Alertmanager
from lake.alerts.mail import Mail
from lake.alerts.secrets import password_of, url_of
from lake.alerts.webhook import Webhook
from lake.base.errors import LakeError, PermanentError
from lake.config.settings import Settings


class Channel(Protocol):
    """A way to notify operators. `keeps_state`: it drops a firing alert that is not repeated."""

    @property
    def name(self) -> str: ...  # noqa: D102

    @property
    def keeps_state(self) -> bool: ...  # noqa: D102

    def send(self, alert: Alert) -> None: ...  # noqa: D102

    def probe(self) -> None:
        """Whether it is complete and answers; no message. Raises LakeError."""


@dataclass(frozen=True)
class Delivery:
    """What became of one alert on one channel, and after how long; `error` is None where it was
    accepted.
    """

    channel: str
    error: LakeError | None = None
    seconds: float = 0

    def to_json(self) -> dict[str, object]:
        """For `--json`."""
        parts = {"what": self.error.what, **self.error.parts} if self.error else None
        return {"channel": self.channel, "ok": self.error is None, "error": parts}


@dataclass(frozen=True)
class _Unusable:
    """A channel whose secret can't be read: each message to it fails with the reason."""

    name: str
    error: LakeError
    keeps_state: bool = False

    def send(self, alert: Alert) -> None:
        raise self.error

    def probe(self) -> None:
        raise self.error


def open_channels(settings: Settings) -> list[Channel]:
    """The channels of `[alerts]`. An invalid secret file does not affect other channels."""
    return list(_channels(settings))


def _channels(settings: Settings) -> Iterator[Channel]:
    section = settings.alerts
    try:
        if url := url_of(section, "webhook_url"):
            yield Webhook(url, section.ca_file)
    except LakeError as error:
        yield _Unusable("webhook", error)
    if section.email:
        email = section.email
        yield Mail(email, lambda: password_of(email))
    if section.alertmanager_url:
        yield Alertmanager(section.alertmanager_url, section.ca_file)


def deliver(
    channels: Collection[Channel], alert: Alert, without: Collection[str] = ()
) -> Iterator[Delivery]:
    """Sends it to each channel whose name is not in `without`."""
    for channel in channels:
        if channel.name in without:
            continue
        failed: LakeError | None = None
        begun = time.monotonic()
        try:
            channel.send(alert)
        except LakeError as error:
            failed = error
        except Exception as error:  # noqa: BLE001  whatever it is, the other channels are notified
            message = f"{type(error).__name__}: {error}"
            failed = PermanentError("an unforeseen error", found=message)
        yield Delivery(channel.name, failed, time.monotonic() - begun)
