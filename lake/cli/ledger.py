"""`lake status` and `lake verify`.

Belongs here: how the ledger is shown. Does not: what a state means.
"""

from __future__ import annotations

import json
import sys
from contextlib import closing
from itertools import groupby
from typing import TYPE_CHECKING, Any

import click

from lake.base.day import Day
from lake.base.sizes import counted
from lake.cli.completing import DatasetType
from lake.cli.options import chosen_days, config_option, days_options, json_option

if TYPE_CHECKING:
    from lake.status import DatasetStatus
    from lake.verify import Finding

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
    late       the source has grown since the export, or the day was exported before it
               was over; fix: lake export
    differs    the source now counts fewer rows, or its count differed at the export
    damaged    the object does not match its manifest; fix: lake export --day D --force

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
    for orphan in orphans:
        remedy = "; `lake status --repair` fixes it" if orphan.state == "left" else ""
        line = f"{orphan.kind} {orphan.state}: {orphan.key}: {orphan.why}{remedy}"
        click.echo(line, err=True)
    for dataset in statuses:
        if dataset.outside and dataset.window:
            click.echo(_outside(dataset, dataset.window), err=True)
    if not days and not any(dataset.days for dataset in statuses):
        click.echo(f"nothing is exported yet at {settings.lake.root}", err=True)
    for problem in sorted({dataset.problem for dataset in statuses if dataset.problem}):
        click.echo(f"not recounted: {problem}", err=True)
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


@click.command()
@click.argument("dataset", type=DatasetType(), nargs=-1)
@days_options
@click.option(
    "--source",
    "ask_source",
    is_flag=True,
    help="Also re-counts each day at its source, if the source still keeps it.",
)
@click.option(
    "--deep",
    is_flag=True,
    help="Also re-reads each of these days from its source and compares fingerprints; "
    "implies --source.",
)
@click.option(
    "--record",
    "keep",
    is_flag=True,
    help="Keeps the result in the lake, for alerts and `lake metrics`.",
)
@json_option
@config_option
def verify(
    dataset: tuple[str, ...],
    day: Day | None,
    start: Day | None,
    end: Day | None,
    ask_source: bool,
    deep: bool,
    keep: bool,
    as_json: bool,
    config: str | None,
) -> None:
    """Verifies that exported days are intact and complete.

    \b
    Checks, for each day of the named datasets (default: all):
      1. the object exists, and its size and SHA-256 match the manifest;
      2. it decodes to the manifest's number of rows, with the same fingerprint;
      3. the source counted that many rows when the day was exported;
      4. its rollup, unless missing or stale: SHA-256, and each row, computed again from the
         table by SQL; sums of floats up to rounding;
      --source  the source counts as many rows now;
      --deep    the source's rows have the same fingerprint now; a mismatch is
                located by hour.

    \b
    Cost:
      default   downloads and decodes each object once, twice with a rollup; no request to a
                source.
      --source  adds one counting query per day.
      --deep    adds as much load on the source as exporting these days.

    Writes nothing, except with --record. Days that the source no longer keeps are checked without
    it. Without a DATASET, also checks the audit log: its entries form an unbroken chain, the
    objects that retention deleted are gone, and every recorded hold still exists.

    Exit status: 1 if anything differs.

    \b
    Example:  lake verify --from 2026-11-01 --to 2026-11-08 --source
    """
    from lake import audit  # noqa: PLC0415
    from lake.config.settings import load  # noqa: PLC0415
    from lake.export import Exporter  # noqa: PLC0415
    from lake.retention.verifying import check as check_records  # noqa: PLC0415
    from lake.verified import record  # noqa: PLC0415
    from lake.verify import to_verify, verify_many  # noqa: PLC0415

    settings = load(config)
    days = chosen_days(day, start, end)
    findings = []
    with closing(Exporter(settings)) as exporter:
        partitions = to_verify(exporter.store, settings.datasets_named(dataset), days)
        source_of = exporter.source if ask_source or deep else None
        for finding in verify_many(settings, exporter.store, partitions, source_of, deep=deep):
            findings.append(finding)
            click.echo(f"[{len(findings)}/{len(partitions)}] {_line(finding)}", err=as_json)
        chain = None if dataset else audit.check(exporter.store)
        records = None if dataset else check_records(exporter.store)
        if keep:
            names = [named.name for named in settings.datasets_named(dataset)]
            of_records = [*chain.problems, *records.problems] if chain and records else None
            record(exporter.store, names, findings, of_records)
    bad = sum(not finding.ok for finding in findings)
    if as_json:
        report: dict[str, Any] = {"partitions": [f.to_json() for f in findings]}
        if chain:
            report["audit"] = chain.to_json()
        if records:
            report["retention"] = records.to_json()
        click.echo(json.dumps(report, indent=1))
    else:
        click.echo(f"{counted(len(findings), 'partition')}, {bad} with a difference")
    if older := sum(finding.older_typing for finding in findings):
        noun = "partition was" if older == 1 else "partitions were"
        click.echo(
            f"{older} {noun} typed by older rules; `lake export --retype` rewrites "
            f"{'it' if older == 1 else 'them'}",
            err=True,
        )
    problems = chain.problems if chain else ()
    for problem in problems:
        click.echo(f"audit log: {problem}", err=True)
    wrong = records.problems if records else ()
    for problem in wrong:
        click.echo(f"retention: {problem}", err=True)
    if bad or problems or wrong:
        sys.exit(1)


def _line(finding: Finding) -> str:
    verdict = "ok" if finding.ok else "; ".join(finding.problems)
    if finding.older_typing:
        verdict += " (typed by older rules)"
    if finding.rollup in ("missing", "stale"):
        verdict += f" (rollup {finding.rollup})"
    if finding.erased:
        there = "; still at the source" if finding.source_has_erased else ""
        verdict += f" ({counted(finding.erased, 'row')} erased{there})"
    return f"{finding.dataset} {finding.day} {counted(finding.rows, 'row')}: {verdict}"
