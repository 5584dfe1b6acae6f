"""`lake hold`.

Belongs here: options, how holds are shown. Does not: what a hold blocks.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import click

from lake.base.day import Day
from lake.base.errors import LakeError, UsageError
from lake.cli.completing import DatasetType
from lake.cli.options import DayType, config_option, json_option

if TYPE_CHECKING:
    from lake.config.settings import Settings
    from lake.holds import Hold
    from lake.holds.protecting import Protected
    from lake.store import Store


@click.group()
def hold() -> None:
    """Keeps days from being deleted, erased or expired.

    \b
    Example:  lake hold list
    """


@hold.command()
@click.argument("dataset", type=DatasetType(), nargs=-1)
@click.option("--all", "every", is_flag=True, help="All datasets, present and future.")
@click.option("--from", "start", type=DayType(), help="Start day (UTC; default: the first).")
@click.option("--to", "end", type=DayType(), help="End day (UTC, exclusive; default: none).")
@click.option("--reason", required=True, help="Who wants the data kept, and why.")
@click.option("--id", "hold_id", default="", help="Name of the hold (default: today and a number).")
@json_option
@config_option
def add(
    dataset: tuple[str, ...],
    every: bool,
    start: Day | None,
    end: Day | None,
    reason: str,
    hold_id: str,
    as_json: bool,
    config: str | None,
) -> None:
    """Adds a hold on days of the named datasets.

    Until it is released, no command deletes these days, their rollups or the snapshots that have
    rows of them; `lake erase` refuses them, a re-export must not lose rows, and `lake ttl apply`
    keeps their documents at the source. Where the bucket has Object Lock on, every version of
    the objects gets an S3 legal hold. The hold is written to the audit log.

    A hold that can't be read counts as a hold of everything.

    \b
    Example:  lake hold add usage_analytics --from 2026-07-01 --to 2026-08-01 \\
                            --reason "case 17"
    """
    from lake.config.settings import load  # noqa: PLC0415
    from lake.holds.changing import add as add_hold  # noqa: PLC0415
    from lake.holds.hold import ALL  # noqa: PLC0415
    from lake.holds.protecting import protect  # noqa: PLC0415
    from lake.store import open_store  # noqa: PLC0415

    if every and dataset:
        raise UsageError("--all and names of datasets exclude each other")
    settings = load(config)
    store = open_store(settings)
    names = [ALL] if every else list(dataset)
    added = add_hold(settings, store, names, start, end, reason, hold_id=hold_id)
    with _reported("added", added):
        protected = protect(store, added)
    _show_changed(settings, store, "added", added, protected, as_json=as_json)


@hold.command()
@click.argument("hold_id", metavar="ID")
@click.option("--reason", required=True, help="Who lifted the hold, and why.")
@json_option
@config_option
def release(hold_id: str, reason: str, as_json: bool, config: str | None) -> None:
    """Releases a hold.

    S3 legal holds are lifted from what no other hold covers. The release is written to the audit
    log; nothing is deleted by it.

    \b
    Example:  lake hold release case-17 --reason "case closed"
    """
    from lake.config.settings import load  # noqa: PLC0415
    from lake.holds.changing import release as release_hold  # noqa: PLC0415
    from lake.holds.protecting import unprotect  # noqa: PLC0415
    from lake.store import open_store  # noqa: PLC0415

    settings = load(config)
    store = open_store(settings)
    released = release_hold(store, hold_id, reason)
    with _reported("released", released):
        protected = unprotect(store, released)
    _show_changed(settings, store, "released", released, protected, as_json=as_json)


@hold.command(name="list")
@click.option("--released", "with_released", is_flag=True, help="Also lists released holds.")
@json_option
@config_option
def list_holds(with_released: bool, as_json: bool, config: str | None) -> None:
    """Lists active holds.

    Exit status: 1 if a hold or a release can't be read.

    \b
    Example:  lake hold list --released
    """
    from lake.config.settings import load  # noqa: PLC0415
    from lake.holds import of  # noqa: PLC0415
    from lake.holds.hold import ALL  # noqa: PLC0415
    from lake.store import open_store  # noqa: PLC0415

    settings = load(config)
    holds = of(open_store(settings))
    rows = [active.to_json() | {"released": None} for active in holds.active]
    if with_released:
        rows += [
            ended.to_json() | {"released": ending.__dict__}
            for ended, ending in holds.released.values()
        ]
    if as_json:
        click.echo(json.dumps({"holds": rows, "problems": list(holds.problems)}, indent=1))
    else:
        _show(rows)
    for active in holds.active:
        known = {ALL, *(dataset.name for dataset in settings.dataset)}
        if unknown := [name for name in active.datasets if name not in known]:
            click.echo(
                f"hold {active.id}: no dataset in lake.toml is called {', '.join(unknown)}; "
                f"{_instead(active, settings)}add a hold under its new name",
                err=True,
            )
    for problem in holds.problems:
        click.echo(f"lake: the release of hold {problem}; the hold stays active", err=True)
    if holds.problems or any(active.problem for active in holds.active):
        raise SystemExit(1)


def _show(rows: list[dict[str, Any]]) -> None:
    for row in rows:
        state = f", released {row['released']['at']}" if row["released"] else ""
        click.echo(click.style(row["id"], bold=True) + state)
        if row["problem"]:
            click.echo(f"  can't be read, so it holds everything: {row['problem']}")
            continue
        click.echo(f"  {_span(row['datasets'], row['from'], row['to'])}")
        click.echo(f"  {row['reason']} ({row['who']}, {row['at']})")
    if not rows:
        click.echo("no hold")


def _instead(active: Hold, settings: Settings) -> str:
    more = active.widened(settings.dataset).datasets[len(active.datasets) :]
    return f"until then {', '.join(more)} may have its rows and is held; " if more else ""


def _span(datasets: list[str], start: str | None, end: str | None) -> str:
    names = "all datasets" if "*" in datasets else ", ".join(datasets)
    if not start and not end:
        return f"{names}, all days"
    return f"{names}, {start or 'the first day'} … {end or 'no end'} (exclusive)"


def _show_changed(
    settings: Settings,
    store: Store,
    done: str,
    changed: Hold,
    protected: Protected,
    *,
    as_json: bool,
) -> None:
    if as_json:
        row = changed.to_json() | {"legal_hold": protected.to_json()}
        click.echo(json.dumps({done: row}, indent=1))
    else:
        row = changed.to_json()
        click.echo(f"hold {changed.id} {done}: {_span(row['datasets'], row['from'], row['to'])}")
        click.echo(_locked(store, done, protected))
    if done == "added" and (names := _expiring(settings, changed)):
        click.echo(
            f"{', '.join(names)}: rows expire at the source ([ttl]) until the guard has run: "
            "run `lake ttl apply` now",
            err=True,
        )


@contextmanager
def _reported(done: str, changed: Hold) -> Iterator[None]:
    """An error of S3 legal holds comes after the hold was changed: a second try is not needed."""
    try:
        yield
    except LakeError:
        click.echo(
            f"hold {changed.id} {done}; the S3 legal holds were not all set or lifted:", err=True
        )
        raise


def _locked(store: Store, done: str, protected: Protected) -> str:
    if not protected.supported:
        return (
            f"{store.url('')} has no Object Lock: S3 legal holds are not supported; the lake's "
            "own commands honour the hold"
        )
    many = "1 object version" if protected.versions == 1 else f"{protected.versions} versions"
    return f"S3 legal hold {'set on' if done == 'added' else 'lifted from'} {many}"


def _expiring(settings: Settings, changed: Hold) -> list[str]:
    from lake.ttl.terms import guarded  # noqa: PLC0415

    if not settings.ttl.enabled and not settings.ttl.dataset:
        return []
    wide = changed.widened(settings.dataset)
    return [dataset.name for dataset in guarded(settings) if wide.concerns(dataset.name)]
