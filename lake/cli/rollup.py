"""`lake rollup`.

Belongs here: options, progress and the report. Does not: making rollups.
"""

from __future__ import annotations

import json
import sys
from typing import TYPE_CHECKING

import click

from lake.base.day import Day
from lake.base.machine import processors
from lake.base.sizes import counted
from lake.cli.completing import DatasetType
from lake.cli.options import chosen_days, config_option, days_options, json_option

if TYPE_CHECKING:
    from lake.rollup.many import RolledDay

_STATES = ("made", "current", "overtaken", "failed")


@click.command()
@click.argument("dataset", type=DatasetType(), nargs=-1)
@days_options
@click.option("--force", is_flag=True, help="Also makes rollups again that are current.")
@click.option(
    "--jobs",
    default=min(4, processors()),
    metavar="N",
    show_default=True,
    type=click.IntRange(1, 64),
    help="Number of rollups to make in parallel.",
)
@json_option
@config_option
def rollup(
    dataset: tuple[str, ...],
    day: Day | None,
    start: Day | None,
    end: Day | None,
    force: bool,
    jobs: int,
    as_json: bool,
    config: str | None,
) -> None:
    """Makes rollups from the tables in the lake.

    A rollup is a small table for each day of a dataset: the view NAME_hourly. `lake export`
    makes it with the day; this command makes missing and stale rollups of the named datasets
    (default: all that have one) and days (default: all in the lake). It sends no request to a
    source.

    Prometheus: one row for each series and hour. Loki: one row for each stream, hour and level.
    Others: as defined by the SQL file DATASET.sql in the directory that [lake] rollups names.

    Exit status: 1 if a rollup failed.

    \b
    Example:  lake rollup http_server_requests --from 2026-07-01 --to 2026-10-01
    """
    from lake.config.settings import load  # noqa: PLC0415
    from lake.rollup.many import roll_up, with_rollups  # noqa: PLC0415
    from lake.store import open_store  # noqa: PLC0415

    days = chosen_days(day, start, end)
    settings = load(config)
    datasets = with_rollups(settings, dataset)
    results: list[RolledDay] = []
    for rolled_day in roll_up(
        settings, open_store(settings), datasets, days, jobs=jobs, force=force
    ):
        results.append(rolled_day)
        if rolled_day.rolled.state != "current":
            click.echo(_line(rolled_day), err=True)
    counts = {
        state: sum(rolled_day.rolled.state == state for rolled_day in results) for state in _STATES
    }
    if as_json:
        ordered = sorted(results, key=lambda rolled_day: (rolled_day.dataset, rolled_day.day))
        click.echo(
            json.dumps(
                {**counts, "rollups": [rolled_day.to_json() for rolled_day in ordered]}, indent=1
            )
        )
    else:
        summary = ", ".join(f"{number} {state}" for state, number in counts.items() if number)
        click.echo(summary or "no dataset with a rollup has a day in the lake")
    if counts["failed"]:
        sys.exit(1)


def _line(rolled_day: RolledDay) -> str:
    head = f"{rolled_day.dataset} {rolled_day.day} {rolled_day.rolled.state}"
    if rolled_day.rolled.error:
        return f"{head}: {rolled_day.rolled.error}"
    if not rolled_day.rolled.manifest:
        return head
    made = rolled_day.rolled.manifest
    return f"{head}: {counted(made.rows, 'row')}, {made.bytes:,} bytes, {rolled_day.seconds:.1f} s"
