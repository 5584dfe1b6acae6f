"""`lake retention plan` and `lake retention apply`.

Belongs here: options, the question before a deletion, how a plan is shown. Does not: what is
deleted.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Iterable, Iterator
from itertools import groupby
from typing import TYPE_CHECKING, Any

import click

from lake.base.errors import ConfigError
from lake.base.sizes import counted, size
from lake.cli.confirming import confirm
from lake.cli.options import config_option, json_option

if TYPE_CHECKING:
    from lake.retention import Item, RetentionPlan, RetentionResult

_NOUNS = {"table": "tables", "rollup": "rollups", "snapshot": "snapshots", "report": "reports"}


@click.group()
def retention() -> None:
    """Deletes what the lake no longer has to keep.

    \b
    Example:  lake retention plan
    """


@retention.command()
@json_option
@config_option
def plan(as_json: bool, config: str | None) -> None:
    """Shows what the policy keeps, and what it would delete.

    \b
    Shows:
      how long tables, rollups, snapshots and reports are kept ([retention] in
      lake.toml), and the limits of hot documents, which `lake ttl` sets;
      what is older and would be deleted: datasets and days, objects, bytes;
      what is older and stays: days under a hold, the only copy of a day, and
      what can't be read.

    A snapshot's objects that another snapshot needs are never deleted, nor is the newest
    snapshot whose objects are all there. Changes nothing.

    Exit status: 1 if something past its retention stays, other than for a hold or as the only
    copy of a day.

    \b
    Example:  lake retention plan --json
    """
    from lake.base.day import Day  # noqa: PLC0415
    from lake.config.settings import load  # noqa: PLC0415
    from lake.retention import make_plan  # noqa: PLC0415
    from lake.retention.records import unfinished  # noqa: PLC0415
    from lake.store import open_store  # noqa: PLC0415

    settings = load(config)
    store = open_store(settings)
    made = make_plan(settings, store, Day.today())
    interrupted = [deletion.id for deletion in unfinished(store)]
    if as_json:
        report = {
            "enabled": settings.retention.enabled,
            "policy": made.policy,
            "deletes": [item.to_json() for item in made.items],
            "stays": [stay.to_json() for stay in made.stays],
            "interrupted": interrupted,
        }
        click.echo(json.dumps(report, indent=1))
    else:
        if not settings.retention.enabled:
            click.echo("[retention] is not enabled: nothing is deleted")
        _show(made)
    for deletion in interrupted:
        click.echo(
            f"deletion {deletion} was interrupted; `lake retention apply` completes it", err=True
        )
    if not made.ok:
        sys.exit(1)


@retention.command()
@click.option("--yes", is_flag=True, help="Skips the confirmation.")
@json_option
@config_option
def apply(yes: bool, as_json: bool, config: str | None) -> None:
    """Deletes what `lake retention plan` shows.

    First completes what an interrupted run began. Writes a deletion manifest with each object's
    SHA-256 and an audit entry, then deletes, manifests before data. Asks before the first deletion
    under each retention time, and again when one is shortened. Days under a hold stay; holds are
    read again before each deletion. Only one run works at a time.

    In a versioned bucket a deleted object becomes a noncurrent version, which is billed until the
    bucket's lifecycle removes it: tables after [bucket] noncurrent_days, snapshots only with
    snapshots_noncurrent_days.

    Exit status: 1 if something past its retention stays, other than for a hold or as the only
    copy of a day.

    \b
    Example:  lake retention apply --yes
    """
    from lake.config.settings import load  # noqa: PLC0415
    from lake.retention import apply as delete  # noqa: PLC0415
    from lake.store import open_store  # noqa: PLC0415

    settings = load(config)
    if not settings.retention.enabled:
        raise ConfigError(
            "retention is not enabled",
            where="[retention]",
            expected="enabled = true",
            remedy="look at `lake retention plan` first, then set it",
        )
    result = delete(
        settings,
        open_store(settings),
        show=lambda made: _show(made, err=as_json),
        confirm=lambda made: None if yes else _confirm(made),
    )
    if as_json:
        click.echo(json.dumps(result.to_json(), indent=1))
    else:
        _show_result(result)
    if not result.ok:
        sys.exit(1)


def _confirm(made: RetentionPlan) -> None:
    confirm("a deletion", "These are deleted:", _lines(made.items), "Delete them?")


def _show(made: RetentionPlan, *, err: bool = False) -> None:
    for line in (*_policy(made.policy), *_lines(made.items), *_staying(made)):
        click.echo(line, err=err)
    if not made.items:
        click.echo("nothing to delete", err=err)


def _policy(policy: dict[str, Any]) -> Iterator[str]:
    for name, terms in policy["datasets"].items():
        ttl = terms["hot_ttl"]
        hot = f"hot {_days(terms['hot'])}" if ttl is None else f"hot {_days(ttl)} (lake ttl)"
        yield (
            click.style(name, bold=True)
            + f": {hot}, tables {_days(terms['tables'])}, rollups {_days(terms['rollups'])}"
        )
    for system, rules in policy["snapshots"].items():
        kept = ", ".join(f"{number} {name}" for name, number in rules.items() if number)
        yield click.style(f"snapshots of {system}", bold=True) + f": {kept or 'all'}"
    yield click.style("reports", bold=True) + f": {_days(policy['reports'])}"


def _days(days: int | str) -> str:
    return str(days) if isinstance(days, str) else f"{days} {'day' if days == 1 else 'days'}"


def _lines(items: Iterable[Item]) -> Iterator[str]:
    for (kind, name), group in groupby(items, key=lambda item: (item.kind, item.name)):
        of_name = list(group)
        objects = sum(len(item.pieces) for item in of_name)
        rows = sum(item.rows or 0 for item in of_name)
        yield (
            f"  delete  {_NOUNS[kind]} of {name}: {_span([item.day for item in of_name])}, "
            f"{objects} {'object' if objects == 1 else 'objects'}, "
            f"{size(sum(item.bytes for item in of_name))}"
            + (f", {counted(rows, 'row')}" if kind == "table" else "")
        )


def _staying(made: RetentionPlan) -> Iterator[str]:
    stays = groupby(made.stays, key=lambda stay: (stay.kind, stay.name, stay.why, stay.held))
    for (kind, name, why, held), group in stays:
        days = [stay.day for stay in group]
        span = days[0] if len(days) == 1 else f"{days[0]} … {days[-1]} ({len(days)})"
        yield f"  {'held  ' if held else 'stays '}  {kind} {name} {span}: {why}"


def _span(days: list[Any]) -> str:
    first, last = days[0], days[-1]
    return str(first) if len(days) == 1 else f"{first} … {last} ({len(days)} days)"


def _show_result(result: RetentionResult) -> None:
    for deletion in result.completed:
        click.echo(f"interrupted deletion {deletion} completed")
    for name, why in result.kept.items():
        click.echo(f"kept: {name}: {why}")
    if result.deletion:
        objects = sum(len(item.pieces) for item in result.deleted)
        freed = size(sum(item.bytes for item in result.deleted))
        click.echo(f"deleted {objects} objects, {freed}; deletion manifest {result.deletion}")
