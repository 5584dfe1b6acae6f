"""`lake verify`.

Belongs here: options, how findings are shown. Does not: what is compared (lake.verify).
"""

from __future__ import annotations

import json
import sys
from contextlib import closing
from typing import TYPE_CHECKING, Any

import click

from lake.base.day import Day
from lake.base.sizes import counted
from lake.cli.completing import DatasetType
from lake.cli.options import chosen_days, config_option, days_options, json_option

if TYPE_CHECKING:
    from lake.verify import Finding


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
      4. its rollup, unless missing or stale: SHA-256, and each row, computed
         again from the table by SQL; sums of floats up to rounding;
      --source  the source counts as many rows now;
      --deep    the source's rows have the same fingerprint now; a mismatch is
                located by hour.

    \b
    Cost:
      default   downloads and decodes each object once, twice with a rollup; no
                request to a source.
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
    if finding.overwritten:
        verdict += (
            f" (the source has overwritten rows, and {finding.source_count} are left: not compared)"
        )
    return f"{finding.dataset} {finding.day} {counted(finding.rows, 'row')}: {verdict}"
