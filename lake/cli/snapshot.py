"""`lake snapshot`.

Belongs here: options, progress and the report. Does not: taking snapshots (lake.snapshot).
"""

from __future__ import annotations

import json
import sys

import click

from lake.base.day import Day
from lake.base.sizes import counted, size
from lake.cli.options import DayType, config_option, json_option
from lake.cli.signals import end_on_signals
from lake.systems import SYSTEMS

_INTERRUPTED = 130


@click.command()
@click.argument("system", type=click.Choice(SYSTEMS))
@click.option("--day", type=DayType(), hidden=True, help="The current UTC day only.")
@click.option(
    "--fresh", is_flag=True, help="Re-uploads everything; use it when stored objects are damaged."
)
@click.option(
    "--allow-shrink",
    is_flag=True,
    help="Allows a snapshot of less than half of an earlier one, or without one of its "
    "collections.",
)
@json_option
@config_option
def snapshot(
    system: str,
    day: Day | None,
    fresh: bool,
    allow_shrink: bool,
    as_json: bool,
    config: str | None,
) -> None:
    """Takes a raw backup of mongo, prometheus or loki as of now.

    The snapshot is filed under the current UTC day and replaces an earlier one of the same
    day. It is refused if it holds less than half of an earlier one. Its manifest lists the days
    of data that it holds in full. Objects that an earlier snapshot has stored are not uploaded
    again. An interrupted snapshot is ignored; the next one resumes from the uploaded objects.

    Prometheus and Loki are read from disk; [snapshots.prometheus] and [snapshots.loki] in
    lake.toml name their directories.

    \b
    Example:  lake snapshot prometheus
    """
    from lake.config.settings import load  # noqa: PLC0415
    from lake.servers.progress import shown  # noqa: PLC0415
    from lake.snapshot import take_snapshot  # noqa: PLC0415
    from lake.snapshots.holding import spans  # noqa: PLC0415
    from lake.store import open_store  # noqa: PLC0415

    today = Day.today()
    _require_today(system, day, today)
    settings = load(config)
    end_on_signals(_INTERRUPTED)
    with shown(sys.stderr) as progress:
        outcome = take_snapshot(
            settings,
            open_store(settings),
            system,
            lambda files, stored: progress(system, f"{counted(files, 'file')}, {size(stored)}"),
            fresh=fresh,
            allow_shrink=allow_shrink,
            today=today,
        )
    ruled = [each.name for each in settings.dataset if each.source == system and each.columns]
    if ruled:
        click.echo(
            f"note: a snapshot holds everything: the rules of {', '.join(ruled)} are not applied "
            "to it",
            err=True,
        )
    if as_json:
        click.echo(json.dumps(outcome.to_json()))
        return
    manifest = outcome.manifest
    click.echo(
        f"{system} {manifest.day}: {counted(manifest.paths, 'file')}, "
        f"{size(manifest.bytes)}; {size(outcome.sent_bytes)} uploaded in {outcome.seconds:.1f} s"
    )
    click.echo(f"holds whole: {spans(manifest.held_days())}")
    for warning in manifest.warnings():
        click.echo(f"warning: {warning}")
    click.echo(f"restore with: {manifest.restore}")


def _require_today(system: str, day: Day | None, today: Day) -> None:
    from lake.base.errors import UsageError  # noqa: PLC0415

    if day is not None and day != today:
        raise UsageError(
            "a snapshot is of now and is filed under the current UTC day",
            expected=f"no --day (today is {today})",
            found=f"--day {day}",
            remedy=f"`lake restore {system} --day {day}` finds the snapshot that holds that day",
        )
