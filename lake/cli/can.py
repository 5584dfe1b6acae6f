"""`lake can`.

Belongs here: its option, and what is printed. Does not: whether the lake can (lake.answerability).
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING

import click

from lake.base.printable import shown
from lake.base.sizes import counted, size
from lake.cli.completing import FileType
from lake.cli.options import config_option, json_option
from lake.cli.query import statement_of

if TYPE_CHECKING:
    from lake.answerability import Answerability
    from lake.answerability.days import MissingDay, TableDays
    from lake.answerability.effort import Effort, RestoreEffort
    from lake.base.day import Day

_VERDICTS = {
    "exact": "yes, exactly",
    "approximate": "yes, approximately",
    "export": "not yet: an export or rollup makes the missing days",
    "snapshot": "only with a restored snapshot",
    "incomplete": "not completely",
}


@click.command(context_settings={"ignore_unknown_options": True})
@click.argument("sql", type=FileType(), nargs=-1, required=True)
@json_option
@config_option
def can(sql: tuple[str, ...], as_json: bool, config: str | None) -> int:
    """Shows whether the lake can answer a query, and what it takes.

    The query is checked, not run. Shows for each table whether the answer is exact, approximate
    (values at steps, sketches, column rules, values that a column does not include) or lacks
    days, and where the missing days are: still in the source, in a snapshot, or nowhere. Also
    estimates the bytes, seconds and cost of the query and of each restore.

    \b
    Exit status: 0 the lake answers, 1 days are missing.

    \b
    Example:  lake can "SELECT count(*) FROM container_logs
                        WHERE day >= '2026-07-01' AND day < '2026-10-01'"
    """
    from lake.answerability import answerability  # noqa: PLC0415
    from lake.query import connect  # noqa: PLC0415

    with connect(config) as lake:
        answer = answerability(lake, statement_of(sql))
    if as_json:
        click.echo(json.dumps(answer.to_json(), ensure_ascii=False))
    else:
        for line in _lines(answer):
            click.echo(line)
    return 0 if answer.verdict in ("exact", "approximate") else 1


def _lines(answer: Answerability) -> Iterator[str]:
    yield _VERDICTS[answer.verdict]
    if not answer.understood:
        yield "The days and columns of the query are not known before it runs: all are counted."
    for table in answer.tables:
        yield from _table_lines(table)
    currency = answer.prices.currency
    yield f"query: {_effort(answer.query, currency)}"
    for restore in answer.restores:
        yield f"restore: {_restore(restore, currency)}"
    if answer.prices.note:
        yield answer.prices.note


def _table_lines(table: TableDays) -> Iterator[str]:
    if table.first is None or table.last is None:
        yield f"{table.table}: no day that the query reads is in the lake"
        return
    span = f"{table.first} to {table.last}" if table.wanted > 1 else str(table.first)
    yield f"{table.table}: {table.held:,} of {counted(table.wanted, 'day')} in the lake ({span})"
    for (place, snapshot), missing in _by_place(table.missing).items():
        days = [day.day for day in missing]
        number = f"{counted(len(days), 'day')} missing ({_spans(days)})"
        yield f"  {number}: {_where(table, place, str(snapshot), missing)}"
    if later := table.later:
        export = f"`lake export {table.dataset} --from {later[0]} --to {later[-1].plus(1)}`"
        yield (
            f"  the query names no last day; {counted(len(later), 'day')} after those in the lake "
            f"({_spans([*later])}) still in {table.source}: {export}"
        )
    for reason in (*table.inexact, *table.left_out):
        yield f"  approximate: {shown(reason.removeprefix(f'{table.table}: '))}"


def _by_place(missing: Iterable[MissingDay]) -> dict[tuple[str, object], list[MissingDay]]:
    grouped: dict[tuple[str, object], list[MissingDay]] = {}
    for day in missing:
        grouped.setdefault((day.place, day.snapshot), []).append(day)
    return grouped


def _where(table: TableDays, place: str, snapshot: str, missing: list[MissingDay]) -> str:
    first, after = missing[0].day, missing[-1].day.plus(1)
    days = f"--from {first} --to {after}"
    return {
        "rollup": f"`lake rollup {table.dataset} {days}` makes the rollups",
        "source": f"still in {table.source}: `lake export {table.dataset} {days}`",
        "snapshot": f"in the snapshot of {snapshot}: `lake export {table.dataset} {days} "
        f"--from-snapshot` exports the days; `lake restore {table.source} --day {first} "
        "--into DIR --serve` runs a server",
        "before_first_day": "before [lake] first_day: no export accepts them",
        "unfinished": "not over",
        "nowhere": f"neither in {table.source}, by its retention in [hot], nor whole in a snapshot",
    }[place]


def _effort(effort: Effort, currency: str) -> str:
    text = (
        f"about {size(effort.bytes)} of {effort.objects:,} "
        f"{'object' if effort.objects == 1 else 'objects'}, {_seconds(effort.seconds)}, "
        f"{_cost(effort.cost)} {currency}"
    )
    if effort.archived:
        text += f"; {effort.archived:,} objects are archived: restore them in S3 first (hours)"
    return text


def _restore(restore: RestoreEffort, currency: str) -> str:
    seconds = " (by the last rehearsal)" if restore.measured else ""
    return (
        f"{restore.system} snapshot of {restore.snapshot}, "
        f"for {counted(len(restore.days), 'day')}: {_effort(restore.effort, currency)}{seconds}"
    )


def _spans(days: list[Day]) -> str:
    from lake.snapshots.holding import spans  # noqa: PLC0415

    return spans(days)


def _cost(cost: float) -> str:
    return f"{cost:,.4f}" if cost >= 0.0001 else "under 0.0001"


def _seconds(seconds: float) -> str:
    if seconds < 1:
        return "under a second"
    return f"{seconds:,.0f} s" if seconds < 120 else f"{seconds / 60:,.0f} min"
