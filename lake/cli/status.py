"""`lake status`.

Belongs here: options, how the ledger is shown. Does not: what a state means (lake.status).
"""

from __future__ import annotations

import json
import sys
from contextlib import closing
from itertools import groupby
from typing import TYPE_CHECKING

import click

from lake.base.day import Day
from lake.cli.options import chosen_days, config_option, days_options, json_option

if TYPE_CHECKING:
    from lake.repair import Orphan
    from lake.status import DatasetStatus

_WIDE = 200
_COLOURS = {
    "verified": "green",
    "empty": "cyan",
    "missing": "yellow",
    "late": "yellow",
    "differs": "red",
    "damaged": "red",
}


@click.command()
@days_options
@click.option(
    "--no-sources", is_flag=True, help="Reads the lake only: no re-counts at the sources."
)
@click.option(
    "--repair",
    "mend",
    is_flag=True,
    help="First completes or removes what killed runs left behind.",
)
@json_option
@config_option
def status(
    day: Day | None,
    start: Day | None,
    end: Day | None,
    no_sources: bool,
    mend: bool,
    as_json: bool,
    config: str | None,
) -> None:
    """Shows the state of each dataset and closed UTC day.

    \b
    verified   row count equals the source's count
    empty      verified, with no rows
    missing    closed, but not exported
    late       the source has grown since the export, or the day was exported
               before it was over; fix: lake export
    differs    the source now counts fewer rows, or its count differed at the
               export
    damaged    the object does not match its manifest;
               fix: lake export --day D --force

    Compares presence and size of each object, not its content; `lake verify` reads it. Days
    inside the lateness window are re-counted at the source. If a source is unreachable, a
    message on standard error names it, and its days keep their last known state. Files that
    killed runs left behind are listed as orphans. Days without a current rollup are listed;
    fix: lake rollup. Days that [retention] has deleted are listed as retired.

    Exit status: 1 if a day is neither verified nor empty, if a rollup does not match its table
    or its manifest, if a dataset can't be counted for a permanent reason, such as an invalid
    selector, or if documents expire but `lake ttl apply` has not run for too long. Missing and
    stale rollups do not change it.

    \b
    Example:  lake status --from 2026-11-01 --to 2026-12-01
    """
    from lake.config.settings import load  # noqa: PLC0415
    from lake.export import Exporter  # noqa: PLC0415
    from lake.partition.layout import FOLDERS  # noqa: PLC0415
    from lake.query.cached_store import cached_store  # noqa: PLC0415
    from lake.repair import find_orphans, repair  # noqa: PLC0415
    from lake.status import read_status  # noqa: PLC0415
    from lake.store.listed_once import ListedOnce  # noqa: PLC0415
    from lake.ttl.silence import silences  # noqa: PLC0415
    from lake.ttl.site import opened  # noqa: PLC0415

    settings = load(config)
    days = chosen_days(day, start, end)
    with (
        closing(Exporter(settings)) as exporter,
        opened(settings, exporter.store, exporter.source) as site,
    ):
        store = cached_store(settings, exporter.store)
        if mend:
            orphans = repair(settings, exporter.store, None if no_sources else exporter.source)
        listed = ListedOnce(store, *FOLDERS)
        if not mend:
            orphans = find_orphans(settings, exporter.store, listed)
        silent = silences(settings, exporter.store, None if no_sources else site.expiry_of)
        statuses = read_status(
            settings,
            store,
            None if no_sources else exporter.source,
            days[0] if days else None,
            days[-1].plus(1) if days else None,
            listed=listed,
        )
    if as_json:
        report = {
            "datasets": [status.to_json() for status in statuses],
            "orphans": [orphan.to_json() for orphan in orphans],
            "silent_guards": [silence.to_json() for silence in silent],
        }
        click.echo(json.dumps(report, indent=1))
    else:
        _print_status(statuses)
        _print_notes(statuses)
    if not days and not any(dataset.days for dataset in statuses):
        click.echo(f"nothing is exported yet at {settings.lake.root}", err=True)
    _report_orphans(orphans)
    _report_rows_elsewhere(statuses)
    for problem in sorted({dataset.problem for dataset in statuses if dataset.problem}):
        click.echo(f"not re-counted: {problem}", err=True)
    _report_rules(statuses)
    harmful = _report_rollups(statuses)
    for silence in silent:
        click.echo(str(silence), err=True)
    states = {of_day.state for dataset in statuses for of_day in dataset.days.values()}
    broken = any(dataset.broken for dataset in statuses)
    if states - {"verified", "empty"} or broken or harmful or silent:
        sys.exit(1)


def _print_notes(statuses: list[DatasetStatus]) -> None:
    from lake.snapshots.holding import spans  # noqa: PLC0415

    for dataset in statuses:
        if dataset.retired:
            click.echo(_retired(dataset))
        if read := [day for day, of_day in sorted(dataset.days.items()) if of_day.snapshot]:
            text = "1 day was" if len(read) == 1 else f"{len(read)} days were"
            click.echo(f"{dataset.dataset}: {text} read from snapshots: {spans(read)}")


def _report_orphans(orphans: list[Orphan]) -> None:
    for orphan in orphans:
        remedy = "; `lake status --repair` fixes it" if orphan.state == "left" else ""
        line = f"{orphan.kind} {orphan.state}: {orphan.key}: {orphan.why}{remedy}"
        click.echo(line, err=True)


def _report_rows_elsewhere(statuses: list[DatasetStatus]) -> None:
    for dataset in statuses:
        if dataset.outside and dataset.window:
            click.echo(_outside(dataset, dataset.window), err=True)


def _report_rules(statuses: list[DatasetStatus]) -> None:
    from lake.privacy.rules import texts_of  # noqa: PLC0415

    for dataset in statuses:
        if dataset.rules:
            click.echo(f"{dataset.dataset}: rules: {'; '.join(texts_of(dataset.rules))}", err=True)
        if days := dataset.other_rules:
            click.echo(f"{dataset.dataset}: {other_rules(dataset.dataset, days)}", err=True)


def other_rules(name: str, days: list[Day]) -> str:
    """A sentence about days that were exported under other column rules."""
    many = "1 day was" if len(days) == 1 else f"{len(days)} days were"
    return (
        f"{many} exported under other column rules ({_span(days)}); "
        f"`lake export {name} --from {days[0]} --to {days[-1].plus(1)} --force` re-exports "
        "those that the source still keeps"
    )


def _report_rollups(statuses: list[DatasetStatus]) -> bool:
    """Writes a line for each dataset and state but `current`; whether one is a difference."""
    from lake.rollup.checking import HARMLESS  # noqa: PLC0415

    harmful = False
    for dataset in statuses:
        if dataset.rollup_problem:
            harmful = True
            click.echo(f"{dataset.dataset}: no rollup: {dataset.rollup_problem}", err=True)
        for state in ("missing", "stale", "damaged", "differs"):
            days = sorted(
                day for day, partition in dataset.days.items() if partition.rollup == state
            )
            if not days:
                continue
            harmful |= state not in HARMLESS
            noun = "rollup" if len(days) == 1 else "rollups"
            force = "" if state in HARMLESS else " --force"
            click.echo(
                f"{dataset.dataset}: {len(days)} {noun} {state} ({_span(days)}); "
                f"`lake rollup {dataset.dataset}{force}` makes them",
                err=True,
            )
    return harmful


def _retired(dataset: DatasetStatus) -> str:
    noun = "day is" if len(dataset.retired) == 1 else "days are"
    return (
        f"{dataset.dataset}: {len(dataset.retired)} {noun} retired by [retention] "
        f"({_span(dataset.retired)})"
    )


def _outside(dataset: DatasetStatus, window: tuple[Day, Day]) -> str:
    rows = "1 row is" if dataset.outside == 1 else f"{dataset.outside:,} rows are"
    days = f"before {window[0]} or after {window[1].plus(-1)}"
    return f"{dataset.dataset}: {rows} dated {days}, in no exported day"


def _print_status(statuses: list[DatasetStatus]) -> None:
    from rich.console import Console  # noqa: PLC0415
    from rich.table import Table  # noqa: PLC0415

    table = Table(box=None, pad_edge=False, header_style="bold")
    for heading in ("dataset", "source", "days", "state"):
        table.add_column(heading, no_wrap=heading != "state")
    for heading in ("rows", "bytes", "undated"):
        table.add_column(heading, justify="right", no_wrap=True)
    for dataset in statuses:
        if not dataset.days:
            table.add_row(dataset.dataset, dataset.source, "none yet", "", "", "", "")
        runs = groupby(sorted(dataset.days.items()), key=lambda item: item[1].state)
        for number, (state, run) in enumerate(runs):
            items = list(run)
            rows = sum(status.rows or 0 for _, status in items)
            size = sum(status.bytes or 0 for _, status in items)
            undated = "" if dataset.undated is None or number else f"{dataset.undated:,}"
            table.add_row(
                "" if number else dataset.dataset,
                "" if number else dataset.source,
                _span([day for day, _ in items]),
                f"[{_COLOURS[state]}]{len(items)} {state}[/]",
                f"{rows:,}",
                f"{size:,}",
                undated,
            )
    # Without a terminal a table is as wide as its content.
    Console(width=None if sys.stdout.isatty() else _WIDE).print(table)


def _span(days: list[Day]) -> str:
    return str(days[0]) if len(days) == 1 else f"{days[0]} … {days[-1]}"
