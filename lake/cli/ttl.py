"""`lake ttl plan` and `lake ttl apply`.

Belongs here: options, the question before the first deletion, how a plan is shown. Does not:
which limit is right.
"""

from __future__ import annotations

import json
import sys
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import closing, contextmanager
from itertools import groupby
from typing import TYPE_CHECKING, Any

import click

from lake.base.errors import ConfigError
from lake.base.sizes import counted
from lake.cli.completing import DatasetType
from lake.cli.confirming import confirm
from lake.cli.options import config_option, json_option

if TYPE_CHECKING:
    from lake.config.datasets import Dataset
    from lake.config.settings import Settings
    from lake.ttl import AppliedLimit, ExpiryPlan, GuardSite

_DAY_S = 86_400


@click.group()
def ttl() -> None:
    """Lets hot documents expire once the lake has proven them.

    \b
    Example:  lake ttl plan
    """


@ttl.command()
@click.argument("dataset", type=DatasetType(), nargs=-1)
@json_option
@config_option
def plan(dataset: tuple[str, ...], as_json: bool, config: str | None) -> None:
    """Shows which documents would expire, and which are proven.

    \b
    For each of the named datasets (default: all):
      the index on the time field, its limit, and the wanted limit ([ttl] days);
      how many documents would expire at once, and from which UTC days;
      which of these days are proven: re-counted at the source, the object read
      back whole, both compared by content ([ttl] proof);
      documents that never expire, and that were older than the limit when
      inserted;
      the limit that `lake ttl apply` sets: the wanted one, or a higher one up to
      which everything is proven, with the reason.

    Changes nothing. Reads as much from the source as an export of the days that are about to
    expire: on a normal day [ttl] margin_days.

    Exit status: 1 if a limit is held above the wanted one or can't be set, or if another index
    deletes documents too.

    \b
    Example:  lake ttl plan usage_analytics
    """
    from lake.ttl import make_plans  # noqa: PLC0415
    from lake.ttl.turn import remembered  # noqa: PLC0415

    plans = []
    with _site(config) as (settings, site):
        records = remembered(site.store).datasets
        for made in make_plans(site, settings.datasets_named(dataset), records):
            plans.append(made)
            if not as_json:
                _show(made)
    if as_json:
        click.echo(
            json.dumps({"datasets": [dataset_plan.to_json() for dataset_plan in plans]}, indent=1)
        )
    if not all(dataset_plan.ok for dataset_plan in plans):
        sys.exit(1)


@ttl.command()
@click.argument("dataset", type=DatasetType(), nargs=-1)
@click.option("--yes", is_flag=True, help="Skips the confirmation.")
@json_option
@config_option
def apply(dataset: tuple[str, ...], yes: bool, as_json: bool, config: str | None) -> None:
    """Sets the limits that `lake ttl plan` shows.

    Shows the plan, sets the limits of the datasets with [ttl] enabled, re-counts, and writes each
    change to the audit log. Asks before the first deletion of a dataset, and again when [ttl] days
    is lowered. Does nothing where all limits are right. One guard runs at a time. If a source or
    the lake can't be read, if clocks differ, or if the lag exceeds max_lag_days, it raises the
    limit to 2147483647, at which documents are kept for 68 years.

    Exit status: 1 if a limit is held above the wanted one or can't be set, or if another index
    deletes documents too.

    \b
    Example:  lake ttl apply --yes
    """
    from lake.ttl import apply as set_limits  # noqa: PLC0415

    done: list[AppliedLimit] = []
    with _site(config) as (settings, site):
        datasets = settings.datasets_named(dataset)
        _require_enabled(settings, datasets)
        for applied in set_limits(
            site,
            datasets,
            show=lambda plan: _show(plan, err=as_json),
            confirm=lambda plans: None if yes else _confirm(plans),
        ):
            done.append(applied)
            if not as_json:
                click.echo(_result(applied))
    if as_json:
        order = [dataset.name for dataset in datasets]
        done.sort(key=lambda applied: order.index(applied.plan.dataset))
        click.echo(json.dumps({"datasets": [applied.to_json() for applied in done]}, indent=1))
    if not all(applied.ok for applied in done):
        sys.exit(1)


@contextmanager
def _site(config: str | None) -> Iterator[tuple[Settings, GuardSite]]:
    from lake.config.settings import load  # noqa: PLC0415
    from lake.export import Exporter  # noqa: PLC0415
    from lake.ttl.site import opened  # noqa: PLC0415

    settings = load(config)
    with (
        closing(Exporter(settings)) as exporter,
        opened(settings, exporter.store, exporter.source) as site,
    ):
        yield settings, site


def _require_enabled(settings: Settings, datasets: Sequence[Dataset]) -> None:
    from lake.ttl.terms import terms_of  # noqa: PLC0415

    if not any(terms_of(settings, dataset).enabled for dataset in datasets):
        raise ConfigError(
            "no expiry is enabled",
            where="[ttl]" if len(datasets) != 1 else f"[ttl], dataset {datasets[0].name}",
            expected="enabled = true",
            remedy="look at `lake ttl plan` first, then set it",
        )


def _confirm(plans: Sequence[ExpiryPlan]) -> None:
    listed = [
        f"{plan.dataset}: {counted(plan.deletes, 'row')}, all of them proven" for plan in plans
    ]
    confirm("a first deletion", "These expire at the source:", listed, "Let them expire?")


def _days(limit_s: int | None) -> str:
    from lake.systems.expiry import NEVER_S  # noqa: PLC0415

    if limit_s is None:
        return "no limit"
    return "held (2147483647 s)" if limit_s >= NEVER_S else f"{limit_s / _DAY_S:g} days"


def _show(plan: ExpiryPlan, *, err: bool = False) -> None:
    for line in _lines(plan):
        click.echo(line, err=err)


def _lines(plan: ExpiryPlan) -> Iterator[str]:
    yield click.style(plan.dataset, bold=True) + ("" if plan.enabled else " (not enabled)")
    if plan.decision == "none":
        yield f"  {plan.why}"
        return
    index = plan.rule.index
    named = (
        f"index {index.name!r}, {_days(index.limit_s)}" if index else "no index on the time field"
    )
    yield f"  now     {named}; wanted: {_days(plan.wanted_s)}"
    if plan.days or plan.at_once:
        yield f"  rows    {plan.at_once:,} would expire at once under the wanted limit"
    for (state, why), group in groupby(plan.days, key=lambda day: (day.state, day.why)):
        days = list(group)
        span = str(days[0].day) if len(days) == 1 else f"{days[0].day} … {days[-1].day}"
        many = counted(len(days), "day")
        rows = sum(day.source_count for day in days)
        yield f"          {span}  {many}, {counted(rows, 'row')}: {state}" + (
            f" ({why})" if why else ""
        )
    counts = Counter({"without a date to expire by": plan.never})
    counts["of no day, to expire by a date in an array"] = plan.undated
    counts["inserted when older than the limit"] = plan.born_expired
    for what, number in counts.items():
        if number:
            yield f"          {counted(number, 'row')} {what}"
    for other in plan.rule.others:
        yield f"  warning {other}; the guard does not change it"
    for index in plan.rule.left:
        yield (
            f"  warning index {index.name!r} was made on another time field: deletes after "
            f"{_days(index.limit_s)}; lake ttl apply holds it"
        )
    for note in plan.notes:
        yield f"  note    {note}"
    yield f"  {_decided(plan)}"


def _decided(plan: ExpiryPlan) -> str:
    what: dict[str, Any] = {
        "blocked": "blocked",
        "unknown": "unknown",
        "hold": "hold   ",
        "held": "held   ",
        "limit": "limit  ",
    }
    if plan.target_s is None:
        return f"{what[plan.decision]} nothing is set: {plan.why}"
    change = f"{_days(plan.rule.limit_s)} → {_days(plan.target_s)}" if plan.changes else "unchanged"
    deletes = f"; {counted(plan.deletes, 'row')} to expire at once" if plan.deletes else ""
    why = f": {plan.why}" if plan.why else ""
    return f"{what[plan.decision]} {change}{deletes}{why}"


def _result(applied: AppliedLimit) -> str:
    head = f"{applied.plan.dataset}: {applied.state}, {_days(applied.limit_s)}"
    return f"{head}: {applied.why}" if applied.why else head
