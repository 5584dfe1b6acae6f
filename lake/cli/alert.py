"""`lake alert test` and `lake alert check`.

Belongs here: options, what is printed. Does not: channels, conditions.
"""

from __future__ import annotations

import json
import sys
from typing import TYPE_CHECKING

import click

from lake.cli.options import config_option, json_option

if TYPE_CHECKING:
    from lake.alerts import Delivery
    from lake.config.settings import Settings


@click.group()
def alert() -> None:
    """Sends alerts to the channels of [alerts].

    \b
    Example:  lake alert test
    """


@alert.command()
@json_option
@config_option
def test(as_json: bool, config: str | None) -> None:
    """Sends a test message to each configured channel.

    The webhook, e-mail and Alertmanager get one message each, the heartbeat URL one request.
    Alertmanager keeps the test alert for 5 minutes.

    Exit status: 1 if a channel does not accept it.

    \b
    Example:  lake alert test
    """
    from lake.alerts.testing import test_all  # noqa: PLC0415
    from lake.config.settings import load  # noqa: PLC0415

    settings = load(config)
    _require_channels(settings)
    deliveries = test_all(settings)
    if as_json:
        click.echo(
            json.dumps({"channels": [delivery.to_json() for delivery in deliveries]}, indent=1)
        )
    else:
        for result in deliveries:
            click.echo(_line(result))
    if any(delivery.error for delivery in deliveries):
        sys.exit(1)


@alert.command()
@json_option
@config_option
def check(as_json: bool, config: str | None) -> None:
    """Lists the problems that the ledger shows.

    \b
    Rows that a source is about to delete and the lake does not hold, with the
    hour ([hot]); damaged and differing days; no export for 36 hours; an expiry
    guard that does not run; differences that the last `lake verify --record`
    found.

    Reads manifests, no source, and sends nothing. Dagster runs the same checks every 15 minutes
    and sends the alerts.

    Exit status: 1 if anything is listed.

    \b
    Example:  lake alert check
    """
    from contextlib import closing  # noqa: PLC0415

    from lake.alerts import conditions  # noqa: PLC0415
    from lake.config.settings import load  # noqa: PLC0415
    from lake.export import Exporter  # noqa: PLC0415
    from lake.query.cached_store import cached_store  # noqa: PLC0415

    settings = load(config)
    with closing(Exporter(settings)) as exporter:
        alerts = conditions(settings, cached_store(settings, exporter.store))
    if as_json:
        click.echo(json.dumps({"alerts": [shown.to_json() for shown in alerts]}, indent=1))
    for firing in alerts if not as_json else ():
        click.echo(firing.title)
        for line in firing.description.splitlines():
            click.echo(f"  {line}")
    if alerts:
        sys.exit(1)


def _require_channels(settings: Settings) -> None:
    from lake.alerts.testing import is_configured  # noqa: PLC0415
    from lake.base.errors import ConfigError  # noqa: PLC0415

    if not is_configured(settings):
        raise ConfigError(
            "no channel is configured",
            where="[alerts]",
            expected="webhook_url, alertmanager_url, heartbeat_url or [alerts.email]",
        )


def _line(delivery: Delivery) -> str:
    if delivery.error is None:
        return f"{delivery.channel:<12} accepted"
    return f"{delivery.channel:<12} failed: {delivery.error}"
