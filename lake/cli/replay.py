"""`lake replay`.

Belongs here: options, and what is printed for the user and for programs.
Does not: replaying, servers.
"""

from __future__ import annotations

import json
import sys
from contextlib import ExitStack, suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from lake.base.day import Day
from lake.base.errors import UsageError
from lake.base.sizes import counted
from lake.cli.completing import DatasetType
from lake.cli.hints import quoted
from lake.cli.options import (
    chosen_days,
    config_option,
    days_options,
    json_option,
    require_days,
)
from lake.cli.signals import end_on_signals

if TYPE_CHECKING:
    from lake.replay import Replayed

_INTERRUPTED = 130


@click.command()
@click.argument("datasets", type=DatasetType(), nargs=-1, metavar="[DATASET]...")
@days_options
@click.option("--serve", is_flag=True, help="Keeps the servers running until Ctrl-C.")
@click.option(
    "--into",
    type=click.Path(file_okay=False, path_type=Path),
    help="New or empty directory for the servers' data; the same replay reuses it.",
)
@click.option("--allow-missing", is_flag=True, help="Skips days that are not in the lake.")
@click.option("--down", is_flag=True, help="Stops the servers of --into and removes the directory.")
@json_option
@config_option
def replay(
    datasets: tuple[str, ...],
    day: Day | None,
    start: Day | None,
    end: Day | None,
    serve: bool,
    into: Path | None,
    allow_missing: bool,
    down: bool,
    as_json: bool,
    config: str | None,
) -> None:
    """Loads exported days into temporary servers.

    PromQL, LogQL and MongoDB queries then work on any days of the lake. Needs no snapshot:
    reads the named datasets (default: all) from the lake and starts one server per system. The
    servers' counts are compared with the manifests. With --serve, prints the servers' addresses
    as JSON.

    \b
    Example:  lake replay http_server_requests --day 2026-09-01 --serve
    """
    if down:
        _down(into, as_json=as_json)
        return
    days = require_days(chosen_days(day, start, end))
    if not serve and into is None:
        raise UsageError(
            "the loaded data would be discarded", expected="--serve, or --into DIR, or both"
        )
    from lake.config.settings import load  # noqa: PLC0415
    from lake.replay import find_partitions, replayed  # noqa: PLC0415
    from lake.servers.progress import shown  # noqa: PLC0415
    from lake.store import open_store  # noqa: PLC0415

    settings = load(config)
    store = open_store(settings)
    chosen = settings.datasets_named(datasets)
    partitions = find_partitions(store, chosen, days, allow_missing=allow_missing)
    end_on_signals(_INTERRUPTED)
    with ExitStack() as running:
        with shown(sys.stderr) as progress:
            servers = replayed(settings, store, partitions, into, progress)
            result = running.enter_context(servers)
        _report_counts(result)
        if serve:
            _serve(result, into, as_json=as_json)
        elif as_json:
            click.echo(json.dumps(_report(result) | {"directory": str(into)}))
    if not serve:
        click.echo(f"next: the same command with --serve; {into} has the data", err=True)


def _serve(result: Replayed, into: Path | None, *, as_json: bool) -> None:
    with suppress(SystemExit):
        # It imports, which a signal must not meet once the server is announced: raised within a
        # class that is being made, SystemExit becomes a RuntimeError.
        steps = _next_steps(result)
        click.echo(json.dumps(result.endpoints | (_report(result) if as_json else {})))
        for line in steps:
            click.echo(line, err=True)
        down = ""
        if into:
            down = f"; `lake replay --into {quoted(into)} --down` also removes the directory"
        click.echo(f"Ctrl-C stops it{down}", err=True)
        result.stack.wait()


def _report(result: Replayed) -> dict[str, Any]:
    return {
        "datasets": [{"dataset": name, "days": days} for name, days in result.days.items()],
        "remarks": result.remarks,
        "seconds": round(result.seconds, 3),
    }


def _report_counts(result: Replayed) -> None:
    for name, days in result.days.items():
        rows = sum(day["rows"] for day in days.values())
        click.echo(
            f"{name}: {counted(len(days), 'day')}, {counted(rows, 'row')}, counted by the server",
            err=True,
        )
    for remark in result.remarks:
        click.echo(f"note: {remark}", err=True)


def _next_steps(result: Replayed) -> list[str]:
    """What a person types next."""
    from lake.systems.registry import system  # noqa: PLC0415

    day = Day.parse(max(day for days in result.days.values() for day in days))
    return [
        line
        for name, endpoint in result.endpoints.items()
        for line in system(name).next_steps(endpoint, day, result.database)
    ]


def _down(into: Path | None, *, as_json: bool) -> None:
    from lake.replay import require_replay  # noqa: PLC0415
    from lake.restore.directory import bring_down  # noqa: PLC0415

    if into is None:
        raise UsageError("--down needs --into DIR")
    require_replay(into)
    stopped = bring_down(into)
    click.echo(f"{'servers stopped, ' if stopped else ''}{into} removed", err=True)
    if as_json:
        click.echo(json.dumps({"directory": str(into), "stopped": stopped}))
