"""`lake erase`.

Belongs here: options, the question before an erasure, how a plan is shown. Does not: what is
erased.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

import click

from lake.base.day import Day, require_range
from lake.base.errors import UsageError
from lake.base.sizes import counted, size
from lake.cli.completing import DatasetType
from lake.cli.confirming import confirm
from lake.cli.options import DayType, config_option, json_option
from lake.cli.standard_streams import input_lines

if TYPE_CHECKING:
    from lake.erase import ErasurePlan, ErasureResult
    from lake.erase.erasing import ErasedDay

_LISTED = 10
_IN_REST = "contains(_rest, to_json('…')) OR contains(hex(_raw), concat('00', hex('…'), '00'))"


@click.command()
@click.argument("dataset", type=DatasetType())
@click.option(
    "--where",
    metavar="SQL",
    required=True,
    help="Condition on the dataset's columns; - reads it from standard input.",
)
@click.option("--from", "start", type=DayType(), help="Start day (UTC; default: the first).")
@click.option("--to", "end", type=DayType(), help="End day (UTC, exclusive; default: the last).")
@click.option("--reason", default="", metavar="TEXT", help="Reason for the audit log.")
@click.option("--dry-run", is_flag=True, help="Shows the plan and changes nothing.")
@click.option("--yes", is_flag=True, help="Skips the confirmation.")
@json_option
@config_option
def erase(
    dataset: str,
    where: str,
    start: Day | None,
    end: Day | None,
    reason: str,
    dry_run: bool,
    yes: bool,
    as_json: bool,
    config: str | None,
) -> None:
    """Erases rows of a dataset from its exported days.

    The condition is one DuckDB expression over the columns that `lake query` shows. Rows for which
    it is NULL are kept. The days with matching rows are rewritten without them, and their rollups
    are made again. Each new object is proven to hold all other rows.

    \b
    Shows first:
      the days, their rows that match, and objects to be rewritten;
      the snapshots that still hold these days, and until when;
      what the source and earlier versions of the objects may still hold.

    Erases nothing from sources and snapshots. Refuses if a hold covers a day with a matching row.
    An erased day is not exported again without `lake export --allow-erased`. The condition
    itself is not stored; the audit log records its columns, the rows by day and the reason. Read
    from standard input (--where -), it is in neither the process list nor the shell's history.

    A value that its column leaves out (`lake describe`) does not match: a condition on _rest and
    _raw finds the rows: OR contains(_rest, to_json('kim')) OR
    contains(hex(_raw), concat('00', hex('kim'), '00')).

    Exit status: 1 if a day or such a value was not searched, or a day not erased.

    \b
    Example:  lake erase usage_analytics --where "user_id = 'kim'" \\
                         --reason "request 114"
    """
    from lake.config.settings import load  # noqa: PLC0415
    from lake.erase import Planner  # noqa: PLC0415
    from lake.erase import erase as run  # noqa: PLC0415
    from lake.erase.erasing import refuse_held  # noqa: PLC0415
    from lake.store import open_store  # noqa: PLC0415

    if dry_run and yes:
        raise UsageError("--dry-run and --yes exclude each other")
    require_range(start, end)
    if where == "-":
        where = "".join(input_lines()).strip()
    settings = load(config)
    chosen = settings.dataset_named(dataset)
    result: ErasureResult | None = None
    with Planner(settings, open_store(settings), chosen, where) as planner:
        plan = planner.plan(start, end)
        for line in _plan_lines(plan):
            click.echo(line, err=as_json)
        if plan.days and not dry_run:
            refuse_held(plan)
            if not yes:
                confirm("an erasure", "These rows are erased:", _days(plan), "Erase them?")

            def show(day: ErasedDay) -> None:
                rows = f"{counted(day.erased, 'row')}, {day.rows:,} left"
                click.echo(f"{dataset} {day.day} erased: {rows}", err=as_json)

            result = run(planner, plan, reason, show)
    if as_json:
        report = {"plan": plan.to_json(), "result": result.to_json() if result else None}
        click.echo(json.dumps(report, indent=1))
    elif result:
        click.echo(f"{counted(result.erased, 'row')} erased; record {result.id}")
    for day, why in (result.kept if result else {}).items():
        click.echo(f"lake: {dataset} {day} was not erased: {why}", err=True)
    if plan.problems or plan.left_out or (result and not result.ok) or (dry_run and plan.held):
        sys.exit(1)


def _plan_lines(plan: ErasurePlan) -> Iterator[str]:
    yield f"{plan.dataset}: {counted(plan.searched, 'day')} searched, " + (
        f"{counted(plan.matched, 'row')} of {counted(len(plan.days), 'day')} "
        f"{'matches' if plan.matched == 1 else 'match'}"
        if plan.days
        else "no row matches"
    )
    yield from (f"  {line}" for line in _days(plan))
    for held in plan.held:
        yield f"  held       {held.day}: {held.hold}"
    for why, days in _by_reason(plan.problems).items():
        yield f"  not searched  {_span(days)}: {why}"
    for sentence in plan.left_out:
        yield f"  not searched  {sentence}"
    if plan.left_out:
        yield "  a condition on _rest and _raw searches these, such as"
        yield f"  … OR {_IN_REST}"
    for sentence in plan.as_text:
        yield f"  as text    {sentence}; contains(…, to_json('…')) finds a value in it"
    for sentence in plan.encoded:
        yield f"  as base64  {sentence}; this finds a UUID:"
        yield "  … OR contains(_rest, to_base64(unhex(replace('UUID', '-', ''))))"
    yield from _elsewhere_lines(plan)


def _elsewhere_lines(plan: ErasurePlan) -> Iterator[str]:
    for snapshot in plan.snapshots:
        until = f"until {snapshot.until}, " if snapshot.until else ""
        yield f"  still in   snapshot {snapshot.system} {snapshot.day}: {until}{snapshot.why}"
    if plan.at_source:
        span = _span(plan.at_source)
        yield f"  still in   the source, perhaps: {span}; delete the rows there, too"
    for sentence in plan.elsewhere:
        yield f"  still in   {sentence}"
    if plan.versions:
        yield f"  still in   {plan.versions}"
    for sentence in plan.unused:
        yield f"  still in   {sentence}"
    if plan.rollups_alone:
        alone = counted(len(plan.rollups_alone), "rollup")
        yield (
            f"  not searched  {alone} of retired days, which have no rows left; `lake drop "
            f"{plan.dataset} --day D --force` removes one"
        )


def _by_reason(problems: dict[str, str]) -> dict[str, list[str]]:
    days: dict[str, list[str]] = {}
    for day, why in problems.items():
        days.setdefault(why, []).append(day)
    return days


def _span(days: Sequence[Day | str]) -> str:
    if len(days) == 1:
        return str(days[0])
    return f"{days[0]} … {days[-1]} ({counted(len(days), 'day')})"


def _days(plan: ErasurePlan) -> Iterator[str]:
    for day in plan.days[:_LISTED]:
        rollup = ", and its rollup" if day.rollup else ""
        yield (
            f"rewrite    {day.day}: {day.matched:,} of {counted(day.rows, 'row')}, "
            f"{size(day.bytes)}{rollup}"
        )
    if len(plan.days) > _LISTED:
        rest = plan.days[_LISTED:]
        matched = sum(day.matched for day in rest)
        yield f"rewrite    {counted(len(rest), 'more day')}: {counted(matched, 'row')} match"
