"""`lake report` and `lake ui`.

Belongs here: options, the text on a terminal. Does not: the page, the server.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import TYPE_CHECKING

import click

from lake.base.sizes import hours_or_days, size
from lake.cli.options import config_option, json_option

if TYPE_CHECKING:
    from datetime import datetime

    from lake.lag import Lag
    from lake.report import Facts

_DAYS = click.IntRange(1, 3660)


@click.command()
@click.option(
    "--html",
    "html",
    metavar="DIR",
    type=click.Path(file_okay=False, path_type=Path),
    help="Directory for the page and its files; created if missing.",
)
@click.option(
    "--days",
    type=_DAYS,
    default=92,
    show_default=True,
    metavar="N",
    help="Number of closed UTC days in the trend plots.",
)
@click.option("--sources", is_flag=True, help="Also re-counts late days at the sources.")
@json_option
@config_option
def report(html: Path | None, days: int, sources: bool, as_json: bool, config: str | None) -> None:
    """Writes a page that shows the state of the lake.

    \b
    Coverage: each dataset and day, with its manifest and history on a click;
    freshness, and the hours until a source deletes the first unproven row;
    sizes and growth; trends with plots;
    holds, the last rehearsal and guard run, and how old each fact is.

    Writes static files to DIR: open DIR/index.html, or copy DIR to a bucket or a web server.
    Without --html prints a summary.

    Cost: reads every manifest, and the tables or rollups of the last N days for the trends. No
    request to a source without --sources.

    \b
    Example:  lake report --html report
    """
    from lake.config.settings import load  # noqa: PLC0415
    from lake.export import Exporter  # noqa: PLC0415
    from lake.query.cached_store import cached_store  # noqa: PLC0415
    from lake.report import Site, gather, write  # noqa: PLC0415

    settings = load(config)
    written = None
    with closing(Exporter(settings)) as exporter:
        store = cached_store(settings, exporter.store)
        facts = gather(settings, store, exporter.source if sources else None)
        if html:
            written = write(Site(settings, store, facts, days), html)
    if html and written:
        click.echo(f"wrote {html / 'index.html'} and {written - 1:,} files beside it", err=True)
    if as_json:
        click.echo(json.dumps({**facts.to_json(), "files": written}, indent=1))
    else:
        for line in _lines(facts):
            click.echo(line)


def _lines(facts: Facts) -> Iterator[str]:
    from lake.snapshots.holding import spans  # noqa: PLC0415

    proven, expected = facts.days
    yield f"{facts.root}: {proven:,} of {expected:,} days proven"
    width = max((len(of.name) for of in facts.datasets), default=0)
    for of in facts.datasets:
        states = ", ".join(f"{number:,} {state}" for state, number in sorted(of.states.items()))
        newest = f", the newest {of.newest}" if of.newest else ""
        yield (
            f"  {of.name:<{width}}  {states or 'no days'}{newest}; {size(of.total('bytes'))}; "
            f"{_time_left(of.lag, facts.at)}"
        )
        if lost := of.lag.lost:
            number = f"{len(lost):,} {'day' if len(lost) == 1 else 'days'} ({spans(lost)})"
            yield f"  {'':<{width}}  lost: {number}, not proven and not in the source"
    snapshots = (f"{of.system} {of.taken_at or 'none'}" for of in facts.systems)
    yield f"  last snapshots: {', '.join(snapshots)}"
    if facts.rehearsals:
        last = facts.rehearsals[0]
        yield f"  last rehearsal: {last.day}, {'as the lake' if last.ok else 'failed'}"
    else:
        yield "  last rehearsal: none"
    for problem in facts.problems:
        yield f"  not read: {problem}"


def _time_left(lag: Lag, now: datetime) -> str:
    hours = lag.hours_left(now)
    if hours >= 0:
        return f"{hours_or_days(hours)} until the source deletes rows of {lag.first_unproven}"
    since = hours_or_days(-hours)
    return f"the source has been deleting rows of {lag.first_unproven} for {since}"


@click.command()
@click.option(
    "--port",
    metavar="N",
    type=click.IntRange(0, 65535),
    default=8470,
    show_default=True,
    help="Port on 127.0.0.1; 0 is any free port.",
)
@click.option("--open", "open_browser", is_flag=True, help="Opens the page in the browser.")
@click.option(
    "--days",
    type=_DAYS,
    default=92,
    show_default=True,
    metavar="N",
    help="Number of closed UTC days in the trend plots.",
)
@click.option(
    "--sources",
    is_flag=True,
    help="Also re-counts late days at the sources, at most every 5 minutes.",
)
@json_option
@config_option
def ui(
    port: int, open_browser: bool, days: int, sources: bool, as_json: bool, config: str | None
) -> None:
    """Serves the page of lake report on this machine.

    Listens on 127.0.0.1 and reads the lake again at each load of the page; manifests that have
    not changed are kept in memory. Writes nothing. Stops on Ctrl-C.

    For another machine, forward the port: ssh -L 8470:127.0.0.1:8470 HOST

    \b
    Example:  lake ui --open
    """
    from lake.cli.signals import end_on_signals  # noqa: PLC0415
    from lake.config.settings import load  # noqa: PLC0415
    from lake.export import Exporter  # noqa: PLC0415
    from lake.report.serving import HOST, Fresh, Pages, serve  # noqa: PLC0415

    settings = load(config)
    with closing(Exporter(settings)) as exporter:
        fresh = Fresh(settings, exporter.store, exporter.source if sources else None, days)
        with serve(Pages(fresh.site), port) as server:
            url = f"http://{HOST}:{server.server_port}/"
            click.echo(json.dumps({"url": url}) if as_json else f"{url}  (Ctrl-C stops it)")
            sys.stdout.flush()
            if open_browser:
                click.launch(url)
            end_on_signals()
            server.serve_forever()
