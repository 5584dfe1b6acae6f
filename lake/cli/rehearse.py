"""`lake rehearse`.

Belongs here: options, and what is printed. Does not: the rehearsal.
"""

from __future__ import annotations

import json
import sys
from typing import TYPE_CHECKING

import click

from lake.base.sizes import size
from lake.cli.options import config_option, json_option
from lake.cli.signals import end_on_signals
from lake.systems import SYSTEMS

if TYPE_CHECKING:
    from lake.systems.comparison import Rehearsal, Rehearsed

_INTERRUPTED = 130


@click.command()
@click.argument("systems", nargs=-1, type=click.Choice(SYSTEMS))
@click.option("--seed", type=int, metavar="N", help="Random seed; recorded in the report.")
@click.option(
    "--days",
    default=1,
    show_default=True,
    type=click.IntRange(0),
    metavar="N",
    help="Number of random snapshots per system, besides the oldest and the newest.",
)
@click.option(
    "--samples",
    default=25,
    show_default=True,
    type=click.IntRange(0),
    metavar="N",
    help="Number of values per partition to compare one by one, besides counts and sums.",
)
@json_option
@config_option
def rehearse(
    systems: tuple[str, ...],
    seed: int | None,
    days: int,
    samples: int,
    as_json: bool,
    config: str | None,
) -> None:
    """Restores snapshots and compares them with the lake.

    A rehearsal of recovery: restores snapshots of the named systems (default: all that have
    snapshots) into temporary servers, one after the other, compares the data with the exported
    days, and measures the time to recover. Writes reports/rehearsal/YYYY-MM-DD.json and .html
    to the lake.

    Exit status: 1 if a snapshot can't be restored or anything differs.

    \b
    Example:  lake rehearse prometheus --days 3
    """
    from lake.config.settings import load  # noqa: PLC0415
    from lake.rehearse import rehearse as run  # noqa: PLC0415
    from lake.rehearse.report import store_report  # noqa: PLC0415
    from lake.servers.progress import shown  # noqa: PLC0415
    from lake.store import open_store  # noqa: PLC0415

    settings = load(config)
    store = open_store(settings)
    end_on_signals(_INTERRUPTED)
    with shown(sys.stderr) as progress:
        rehearsal = run(
            settings,
            store,
            systems=tuple(dict.fromkeys(systems)) or SYSTEMS,
            seed=seed,
            days=days,
            samples=samples,
            progress=progress,
        )
    report = store_report(store, rehearsal)
    if as_json:
        click.echo(json.dumps(rehearsal.to_json() | {"report": report}, indent=1))
    else:
        _print(rehearsal, report)
    if not rehearsal.ok:
        sys.exit(1)


def _print(rehearsal: Rehearsal, report: dict[str, str]) -> None:
    for rehearsed in rehearsal.snapshots:
        click.echo(_line(rehearsed))
    for difference in rehearsal.differences():
        click.echo(difference, err=True)
    verdict = "nothing differs" if rehearsal.ok else "DIFFERENCES FOUND: see above"
    click.echo(f"{verdict}; seed {rehearsal.seed}, {rehearsal.seconds:.1f} s")
    click.echo(f"report: {report['html']}")


def _line(rehearsed: Rehearsed) -> str:
    state = "ok" if rehearsed.ok else "FAILED"
    head = f"{rehearsed.system:<11} {rehearsed.day}  {rehearsed.chosen:<6}  {state:<6}"
    if rehearsed.recovery is None:
        return head
    took = rehearsed.recovery
    values = sum(check.compared for compared in rehearsed.compared for check in compared.checks)
    newest = f", newest data {rehearsed.newest[:16]}Z" if rehearsed.newest else ""
    return (
        f"{head}  back in {took.total_s:.1f} s (download {took.download_s:.1f}, start "
        f"{took.start_s:.1f}, first answer {took.first_answer_s:.1f}), {size(rehearsed.bytes)}, "
        f"{values:,} comparisons{newest}"
    )
