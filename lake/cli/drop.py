"""`lake drop`.

Belongs here: options, the question before a forced removal. Does not: what may be removed.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator
from contextlib import closing, contextmanager
from typing import TYPE_CHECKING

import click

from lake.base.day import Day
from lake.base.errors import LakeError
from lake.base.sizes import counted
from lake.cli.completing import DatasetType
from lake.cli.confirming import confirm
from lake.cli.options import (
    chosen_days,
    config_option,
    days_options,
    json_option,
    require_days,
)

if TYPE_CHECKING:
    from lake.drop import Dropped, InspectedPartition
    from lake.store import Store


@click.command()
@click.argument("dataset", type=DatasetType())
@days_options
@click.option(
    "--force",
    is_flag=True,
    help="Also removes days that can't be exported again; asks for confirmation.",
)
@click.option("--yes", is_flag=True, help="Skips the confirmation.")
@json_option
@config_option
def drop(
    dataset: str,
    day: Day | None,
    start: Day | None,
    end: Day | None,
    force: bool,
    yes: bool,
    as_json: bool,
    config: str | None,
) -> None:
    """Removes days of a dataset from the lake.

    Only days that can be exported again are removed: those without rows, and those of which
    the source still counts at least as many rows as the lake. --force removes the others, too.
    With --from and --to, days that are not in the lake are skipped. --day D with --force also
    removes the rollup of a retired day. Days under a hold (`lake hold list`) are never removed.

    Exit status: 1 if a day was not removed.

    \b
    Example:  lake drop container_logs --day 2026-11-01
    """
    from lake.config.settings import load  # noqa: PLC0415
    from lake.drop import drop as remove  # noqa: PLC0415
    from lake.drop import inspect  # noqa: PLC0415
    from lake.export import Exporter  # noqa: PLC0415
    from lake.query.rollup_cache import forget_local  # noqa: PLC0415

    days = require_days(chosen_days(day, start, end))
    settings = load(config)
    chosen = settings.dataset_named(dataset)
    dropped: list[Dropped] = []
    failed: list[LakeError] = []
    with closing(Exporter(settings)) as exporter:
        if day is None:
            days = _held(exporter.store, dataset, days)
        partitions: list[InspectedPartition] = []
        for chosen_day in days:
            with _reported(failed):
                partitions.append(
                    inspect(settings, exporter.store, exporter.source, chosen, chosen_day)
                )
        if force and not yes:
            _confirm([partition for partition in partitions if partition.reason])
        for partition in partitions:
            with _reported(failed):
                dropped.append(remove(exporter.store, partition, force=force))
                forget_local(settings, dataset, partition.day)
                click.echo(_line(dropped[-1]), err=as_json)
    if as_json:
        click.echo(
            json.dumps({"dropped": [partition.to_json() for partition in dropped]}, indent=1)
        )
    elif not days:
        click.echo(f"{dataset} has no partition from {start} to {end} (exclusive)")
    if failed:
        sys.exit(1)


def _held(store: Store, dataset: str, days: list[Day]) -> list[Day]:
    from lake.partition.ledger import read_ledger  # noqa: PLC0415

    return sorted(read_ledger(store, dataset, days[0], days[-1].plus(1)))


@contextmanager
def _reported(failed: list[LakeError]) -> Iterator[None]:
    """A day that fails is reported and does not stop the others."""
    try:
        yield
    except LakeError as error:
        failed.append(error)
        click.echo(f"lake: {error}", err=True)


def _confirm(lost: list[InspectedPartition]) -> None:
    if lost:
        listed = [
            f"{partition.dataset} {partition.day}, {_rows(partition.rows)}: {partition.reason}"
            for partition in lost
        ]
        confirm("a forced removal", "These can't be exported again:", listed, "Remove them?")


def _rows(rows: int | None) -> str:
    return "an unknown number of rows" if rows is None else counted(rows, "row")


def _line(dropped: Dropped) -> str:
    return (
        f"{dropped.dataset} {dropped.day} dropped: {_rows(dropped.rows)}, {dropped.bytes:,} bytes"
    )
