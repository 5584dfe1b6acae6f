"""`lake demo`.

Belongs here: options, and what is printed at the end. Does not: the demo.
"""

from __future__ import annotations

import json
from contextlib import suppress
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING

import click

from lake.cli.hints import lake_command, quoted
from lake.cli.options import json_option
from lake.cli.signals import end_on_signals

if TYPE_CHECKING:
    from lake.demo.place import Place
    from lake.demo.run import DemoReport
    from lake.servers import Stack

_INTERRUPTED = 130


@click.command()
@click.option(
    "--dir",
    "directory",
    default=".demo",
    show_default=True,
    type=click.Path(file_okay=False, path_type=Path),
    help="Directory for the data, the lake and the configuration.",
)
@click.option(
    "--days",
    type=click.IntRange(1, 400),
    metavar="N",
    help="Number of UTC days, ending yesterday (default: those in DIR, else 92).",
)
@click.option(
    "--scale",
    type=click.IntRange(1, 200),
    metavar="N",
    help="N times the traffic (default: that in DIR, else 1).",
)
@click.option("--fresh", is_flag=True, help="Discards what DIR holds and starts over.")
@click.option(
    "--serve", is_flag=True, help="Keeps the servers and Dagster's UI running until Ctrl-C."
)
@json_option
def demo(
    directory: Path,
    days: int | None,
    scale: int | None,
    fresh: bool,
    serve: bool,
    as_json: bool,
) -> None:
    """Exports and queries generated data on real local servers.

    Starts Prometheus, Loki, a MongoDB server and an S3 server, loads a quarter of data, exports
    every day in one Dagster backfill, verifies that the lake's totals equal its sources', and
    plots the quarter. Writes DIR/lake.toml; pass it to other commands with --config. Takes
    two to four minutes on two cores; the first run also installs the servers.

    \b
    Example:  lake demo --serve
    """
    from lake.demo.place import Place  # noqa: PLC0415
    from lake.demo.progress import Reporter  # noqa: PLC0415
    from lake.demo.run import run_demo  # noqa: PLC0415

    end_on_signals(_INTERRUPTED)

    def keep_up(stack: Stack, dagster_url: str, report: DemoReport) -> None:
        if as_json:
            served = {
                "config": str(place.serving),
                "dagster": {"url": dagster_url},
                "outage": report.outage,
                **stack.endpoints,
            }
            click.echo(json.dumps(served))
        else:
            _print(report)
            _print_served(stack, dagster_url, place, report)
        with suppress(SystemExit):  # the signal that ends serving: what follows is the demo's end
            stack.wait()

    place = Place(directory)
    report = run_demo(
        place,
        days,
        scale,
        fresh=fresh,
        reporter=Reporter(),
        serve=keep_up if serve else None,
    )
    if serve:
        return
    if as_json:
        click.echo(json.dumps(asdict(report)))
    else:
        _print(report)
        _print_next(place, report)


def _print(report: DemoReport) -> None:
    from rich.console import Console  # noqa: PLC0415
    from rich.table import Table  # noqa: PLC0415

    console = Console()
    ledger = Table(box=None, pad_edge=False, header_style="bold")
    ledger.add_column("dataset", no_wrap=True)
    for heading in ("days verified", "rows", "source's count", "bytes"):
        ledger.add_column(heading, justify="right")
    for row in report.datasets:
        numbers = (row["days"], row["rows"], row["source_count"], row["bytes"])
        ledger.add_row(row["dataset"], *(f"{number:,}" for number in numbers))
    equal = Table(box=None, pad_edge=False, header_style="bold")
    equal.add_column("the same totals")
    for heading in ("requests", "errors", "tokens"):
        equal.add_column(heading, justify="right")
    for name, row in report.totals.items():
        equal.add_row(name, *(f"{row[key]:,}" for key in ("requests", "errors", "tokens")))
    console.print()
    console.print(ledger)
    console.print()
    console.print(equal)
    console.print()
    for name, file in report.trends.items():
        console.print(f"{name:<20} {file}", markup=False, highlight=False)
    console.print(f"\n{report.first} … {report.end} (exclusive) in {report.seconds:.0f} s")


def _print_next(place: Place, report: DemoReport) -> None:
    config, lake = quoted(place.config), lake_command()
    example = "FROM usage_analytics ORDER BY timestamp LIMIT 3"
    click.echo(
        f"""
The servers have stopped; the lake is in {place.lake}. Go on with:
  {lake} status --config {config} --no-sources
  {lake} trend daily_requests --config {config}
  {lake} query --config {config} "{example}"
  {lake} incident --at {report.outage} --config {config}      an outage begins
  {lake} demo --dir {quoted(place.root)} --serve      the same data, with Dagster's UI"""
    )


def _print_served(stack: Stack, dagster_url: str, place: Place, report: DemoReport) -> None:
    click.echo(f"\nDagster     {dagster_url}")
    for name, endpoint in stack.endpoints.items():
        click.echo(f"{name:<11} {next(iter(endpoint.values()))}")
    click.echo(
        f"""
In another terminal:
  source {quoted(place.environment)}
  {lake_command()} status
  {lake_command()} incident --at {report.outage}      an outage begins

Ctrl-C stops everything."""
    )
