"""`lake export` and `lake recheck`.

Belongs here: options, progress and the report of an export. Does not: the export.
"""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import closing, contextmanager
from itertools import count
from typing import TYPE_CHECKING

import click

from lake.base.day import Day
from lake.base.errors import UsageError
from lake.cli.completing import DatasetType
from lake.cli.options import chosen_days, config_option, days_options, json_option
from lake.cli.signals import stop_on_signals

if TYPE_CHECKING:
    from lake.config.datasets import Dataset
    from lake.config.settings import Settings
    from lake.runs import Result
    from lake.store import Store
    from lake.systems.protocol import Source

_JOBS = max(1, min(4, os.cpu_count() or 1))


_jobs_option = click.option(
    "--jobs",
    default=_JOBS,
    metavar="N",
    show_default=True,
    type=click.IntRange(1, 64),
    help="Number of partitions to export in parallel.",
)
_shrink_option = click.option(
    "--allow-shrink", is_flag=True, help="Allows a day to be replaced by fewer rows."
)


@click.command()
@click.argument("dataset", type=DatasetType(), nargs=-1)
@days_options
@click.option("--force", is_flag=True, help="Also rewrites complete days.")
@_jobs_option
@click.option("--open-day", is_flag=True, help="Also exports the current, unfinished day.")
@_shrink_option
@click.option("--allow-erased", is_flag=True, help="Also exports days of which rows were erased.")
@click.option(
    "--retype",
    is_flag=True,
    help="Converts MongoDB days of earlier versions to the current column types.",
)
@json_option
@config_option
def export(
    dataset: tuple[str, ...],
    day: Day | None,
    start: Day | None,
    end: Day | None,
    force: bool,
    jobs: int,
    open_day: bool,
    allow_shrink: bool,
    allow_erased: bool,
    retype: bool,
    as_json: bool,
    config: str | None,
) -> None:
    """Exports closed UTC days to the lake.

    Exports the named datasets (default: all). Days that are already in the lake are skipped;
    inside the source's lateness window they are re-counted first and rewritten if they grew.
    An update that does not change a day's count goes unnoticed; use --force to export it. A
    day that fails keeps its previous partition and does not stop the other days. A day of which
    `lake erase` has erased rows is not exported again without --allow-erased: the source may
    still have them.

    --retype reads the lake only, verifies that the documents stay the same, and covers all
    days of earlier versions unless days are named.

    Exit status: 1 if a day failed.

    \b
    Example:  lake export --from 2026-08-01 --to 2026-11-01 --jobs 4
    """
    from lake.config.settings import load  # noqa: PLC0415
    from lake.coverage import refuse_day  # noqa: PLC0415

    days = chosen_days(day, start, end)
    if retype and (force or allow_shrink or allow_erased or open_day):
        raise UsageError("--retype excludes --force, --allow-shrink, --allow-erased and --open-day")
    settings = load(config)
    datasets = settings.datasets_named(dataset)
    if retype:
        _retype(settings, datasets, days, jobs=jobs, as_json=as_json)
        return
    if days is None:
        raise UsageError("no day", expected="--day D, or --from D --to D", remedy="name the days")
    for edge in (days[0], days[-1]):
        refuse_day(settings, edge, open_day=open_day)
    _run(
        settings,
        [(dataset, on) for on in days for dataset in datasets],
        jobs=jobs,
        as_json=as_json,
        force=force,
        open_day=open_day,
        allow_shrink=allow_shrink,
        allow_erased=allow_erased,
    )


def _retype(
    settings: Settings,
    datasets: Sequence[Dataset],
    days: list[Day] | None,
    *,
    jobs: int,
    as_json: bool,
) -> None:
    from lake.retype import StoredDocuments, older_partitions  # noqa: PLC0415
    from lake.store import open_store  # noqa: PLC0415

    store = open_store(settings)
    _run(
        settings,
        older_partitions(store, datasets, days),
        jobs=jobs,
        as_json=as_json,
        store=store,
        sources={"mongo": StoredDocuments(store)},
        force=True,
        open_day=True,
        allow_shrink=True,  # the number of documents is proven
        allow_erased=True,  # the stored rows have none of them
    )


@click.command()
@click.argument("dataset", type=DatasetType(), nargs=-1)
@_jobs_option
@_shrink_option
@json_option
@config_option
def recheck(
    dataset: tuple[str, ...], jobs: int, allow_shrink: bool, as_json: bool, config: str | None
) -> None:
    """Re-counts recent days and rewrites those that grew.

    Covers the lateness window of the named datasets (default: all), as far back as their
    sources keep data. Missing days are exported. Earlier counts stay in the manifest's history.
    A day that shrank is reported as a failure and left unchanged, unless --allow-shrink is
    given.

    Exit status: 1 if a day failed.

    \b
    Example:  lake recheck usage_analytics
    """
    from lake.config.settings import load  # noqa: PLC0415
    from lake.hot import late_partitions  # noqa: PLC0415

    settings = load(config)
    _run(
        settings,
        late_partitions(settings, settings.datasets_named(dataset)),
        jobs=jobs,
        as_json=as_json,
        allow_shrink=allow_shrink,
        recheck=True,
    )


def _run(
    settings: Settings,
    partitions: list[tuple[Dataset, Day]],
    *,
    jobs: int,
    as_json: bool,
    store: Store | None = None,
    sources: Mapping[str, Source] | None = None,
    **rules: bool,
) -> None:
    """Exports them, reports each and then all; exits with 1 if one fails."""
    from lake.export import Exporter  # noqa: PLC0415
    from lake.runs import export_many  # noqa: PLC0415

    if sources is None:
        for dataset in {dataset.name: dataset for dataset, _ in partitions}.values():
            dataset.rules()  # without its key nothing is read

    results: list[Result] = []
    stop_on_signals("stopping the running exports; once more ends them at once")
    with (
        closing(Exporter(settings, store, sources)) as exporter,
        closing(export_many(exporter, partitions, jobs=jobs, **rules)) as running,
        _progress(len(partitions)) as report,
    ):
        for result in running:
            results.append(result)
            report(result)
    _report(results, as_json=as_json)
    if any(result.error for result in results):
        sys.exit(1)


@contextmanager
def _progress(total: int) -> Iterator[Callable[[Result], None]]:
    """Calls to show a result on standard error: a bar on a terminal, else a line each."""
    if not sys.stderr.isatty():
        numbers = count(1)
        yield lambda result: click.echo(f"[{next(numbers)}/{total}] {_line(result)}", err=True)
        return
    from rich.console import Console  # noqa: PLC0415
    from rich.progress import (  # noqa: PLC0415
        BarColumn,
        MofNCompleteColumn,
        Progress,
        TextColumn,
        TimeElapsedColumn,
        TimeRemainingColumn,
    )

    console = Console(stderr=True)
    columns = (
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TimeElapsedColumn(),
        TextColumn("left"),
        TimeRemainingColumn(),
    )
    with Progress(*columns, console=console) as progress:
        task = progress.add_task("exporting", total=total)

        def advance(result: Result) -> None:
            progress.update(task, advance=1, description=f"{result.dataset} {result.day}")
            if result.error:
                console.print(_line(result), style="red", markup=False, highlight=False)

        yield advance


def _line(result: Result) -> str:
    head = f"{result.dataset} {result.day} {result.state}"
    if result.error:
        return f"{head}: {result.error}"
    if not result.outcome:
        return head
    manifest = result.outcome.manifest
    return (
        f"{head}: {manifest.rows:,} rows, {manifest.bytes:,} bytes, {result.outcome.seconds:.1f} s"
    )


def _report(results: list[Result], *, as_json: bool) -> None:
    counts = {
        state: sum(result.state == state for result in results)
        for state in ("exported", "rewritten", "skipped", "failed")
    }
    if as_json:
        ordered = sorted(results, key=lambda r: (r.dataset, r.day))
        click.echo(json.dumps({**counts, "partitions": [r.to_json() for r in ordered]}, indent=1))
        return
    new = [r.outcome.manifest for r in results if r.outcome and r.state != "skipped"]
    summary = ", ".join(f"{number} {state}" for state, number in counts.items() if number)
    if new:
        summary += f": {sum(m.rows for m in new):,} rows, {sum(m.bytes for m in new):,} bytes"
    click.echo(summary or "nothing to export: no datasets in lake.toml, or no days to recheck")
