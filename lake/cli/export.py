"""`lake export` and `lake recheck`.

Belongs here: options, progress and the report of an export. Does not: the export.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import closing, contextmanager
from dataclasses import dataclass
from itertools import count
from typing import TYPE_CHECKING, Any

import click

from lake.base.day import Day
from lake.base.errors import UsageError
from lake.base.machine import processors
from lake.base.sizes import counted
from lake.cli.completing import DatasetType
from lake.cli.options import (
    DayType,
    chosen_days,
    config_option,
    days_options,
    json_option,
    require_days,
)
from lake.cli.signals import stop_on_signals

if TYPE_CHECKING:
    from lake.config.datasets import Dataset
    from lake.config.settings import Settings
    from lake.runs import ExportResult
    from lake.store import Store
    from lake.systems.protocol import Source

_STOPPING = "stopping the running exports; a second signal ends them at once"
_JOBS = min(4, processors())


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
@click.option("--allow-erased", is_flag=True, help="Also exports days from which rows were erased.")
@click.option(
    "--from-snapshot",
    is_flag=True,
    help="Reads missing days from snapshots instead of the sources.",
)
@click.option(
    "--snapshot",
    type=DayType(),
    help="UTC day on which the snapshot to read was taken (default: the newest that fits).",
)
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
    from_snapshot: bool,
    snapshot: Day | None,
    retype: bool,
    as_json: bool,
    config: str | None,
) -> None:
    """Exports closed UTC days to the lake.

    Exports the named datasets (default: all). Without --day or --from, exports all missing
    closed days that the source still keeps. Days that are already in the lake are skipped;
    inside the source's lateness window they are re-counted first and rewritten if they grew.
    An update that does not change a day's count goes unnoticed; use --force to export it. A
    day that fails keeps its previous partition and does not stop the other days. A day from
    which `lake erase` has erased rows is not exported again without --allow-erased: the source
    may still have them.

    --from-snapshot is for days that a source no longer has, and for datasets that were defined
    later: it restores the newest snapshots that hold the missing days in full, one after the
    other, into a temporary server, and exports from there. The manifests name the snapshot.

    --retype converts MongoDB days that earlier versions exported (default: all of them) to the
    current column types. It reads only the lake, and verifies that the documents stay the same.

    Exit status: 1 if a day failed.

    \b
    Example:  lake export --from 2026-08-01 --to 2026-11-01 --jobs 4
    """
    from lake.config.settings import load  # noqa: PLC0415

    days = chosen_days(day, start, end)
    if snapshot and not from_snapshot:
        raise UsageError("--snapshot needs --from-snapshot")
    if from_snapshot and (open_day or retype):
        raise UsageError("--from-snapshot excludes --open-day and --retype")
    if retype and (force or allow_shrink or allow_erased or open_day):
        raise UsageError("--retype excludes --force, --allow-shrink, --allow-erased and --open-day")
    settings = load(config)
    datasets = settings.datasets_named(dataset)
    if retype:
        _retype(settings, datasets, days, jobs=jobs, as_json=as_json)
        return
    if force or open_day or from_snapshot:
        days = require_days(days)
    partitions = _chosen(settings, datasets, days, open_day=open_day)
    if from_snapshot:
        _run_from_snapshots(
            settings,
            partitions,
            as_json=as_json,
            jobs=jobs,
            force=force,
            allow_shrink=allow_shrink,
            allow_erased=allow_erased,
            snapshot=snapshot,
        )
        return
    _run(
        settings,
        partitions,
        jobs=jobs,
        as_json=as_json,
        force=force,
        open_day=open_day,
        allow_shrink=allow_shrink,
        allow_erased=allow_erased,
    )


def _chosen(
    settings: Settings, datasets: Sequence[Dataset], days: list[Day] | None, *, open_day: bool
) -> list[tuple[Dataset, Day]]:
    """Those of the days, or the missing ones of all."""
    from lake.completeness import missing_days  # noqa: PLC0415
    from lake.coverage import refuse_day  # noqa: PLC0415
    from lake.store import open_store  # noqa: PLC0415

    if days is None:
        return missing_days(settings, open_store(settings), datasets, Day.today())
    for edge in (days[0], days[-1]):
        refuse_day(settings, edge, open_day=open_day)
    return [(dataset, on) for on in days for dataset in datasets]


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
    sources keep data, and the two days that these delete next. Missing days are exported.
    Earlier counts stay in the manifest's history. A day that shrank is reported as a failure
    and left unchanged, unless --allow-shrink is given.

    Exit status: 1 if a day failed.

    \b
    Example:  lake recheck usage_analytics
    """
    from lake.completeness import to_recount  # noqa: PLC0415
    from lake.config.settings import load  # noqa: PLC0415
    from lake.store import open_store  # noqa: PLC0415

    settings = load(config)
    store, today = open_store(settings), Day.today()
    _run(
        settings,
        to_recount(settings, store, settings.datasets_named(dataset), today),
        store=store,
        jobs=jobs,
        as_json=as_json,
        allow_shrink=allow_shrink,
        recheck=True,
        today=today,
    )


def _run(
    settings: Settings,
    partitions: list[tuple[Dataset, Day]],
    *,
    jobs: int,
    as_json: bool,
    store: Store | None = None,
    sources: Mapping[str, Source] | None = None,
    today: Day | None = None,
    **rules: bool,
) -> None:
    """Exports them, reports each and then all; exits with 1 if one fails."""
    from lake.export import Exporter  # noqa: PLC0415
    from lake.runs import export_many  # noqa: PLC0415

    if sources is None:
        _require_keys(partitions)
    stop_on_signals(_STOPPING)
    with (
        closing(Exporter(settings, store, sources)) as exporter,
        closing(export_many(exporter, partitions, jobs=jobs, today=today, **rules)) as running,
        _progress(len(partitions)) as progress,
    ):
        results = _followed(running, progress)
    _finish(results, as_json=as_json)


def _run_from_snapshots(
    settings: Settings, partitions: list[tuple[Dataset, Day]], *, as_json: bool, **options: Any
) -> None:
    """As `_run`, from restored snapshots."""
    from lake.from_snapshot import export_from_snapshots  # noqa: PLC0415
    from lake.store import open_store  # noqa: PLC0415

    _require_keys(partitions)
    store = open_store(settings)
    stop_on_signals(_STOPPING)
    with (
        _progress(len(partitions)) as progress,
        closing(
            export_from_snapshots(settings, store, partitions, progress=progress.note, **options)
        ) as running,
    ):
        results = _followed(running, progress)
    _finish(results, as_json=as_json)


def _require_keys(partitions: Sequence[tuple[Dataset, Day]]) -> None:
    """Without the key of a dataset's rules nothing is read."""
    for dataset in {dataset.name: dataset for dataset, _ in partitions}.values():
        dataset.rules()


def _followed(running: Iterable[ExportResult], progress: _Progress) -> list[ExportResult]:
    results = []
    for result in running:
        results.append(result)
        progress.result(result)
    return results


def _finish(results: list[ExportResult], *, as_json: bool) -> None:
    """Reports them; exits with 1 if one failed."""
    _report(results, as_json=as_json)
    if any(result.error for result in results):
        sys.exit(1)


@dataclass(frozen=True)
class _Progress:
    """Calls to show a result, and the current step of what is done before, on standard error."""

    result: Callable[[ExportResult], None]
    note: Callable[[str, str], None]


@contextmanager
def _progress(total: int) -> Iterator[_Progress]:
    """A bar on a terminal, else a line each."""
    if not sys.stderr.isatty():
        numbers = count(1)
        yield _Progress(
            lambda result: click.echo(f"[{next(numbers)}/{total}] {_line(result)}", err=True),
            lambda name, text: click.echo(f"{name}: {text}", err=True),
        )
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

        def advance(result: ExportResult) -> None:
            progress.update(task, advance=1, description=f"{result.dataset} {result.day}")
            if result.error:
                console.print(_line(result), style="red", markup=False, highlight=False)

        def note(name: str, text: str) -> None:
            console.print(f"{name}: {text}", markup=False, highlight=False)

        yield _Progress(advance, note)


def _line(result: ExportResult) -> str:
    head = f"{result.dataset} {result.day} {result.state}"
    if result.error:
        return f"{head}: {result.error}"
    if not result.outcome:
        return head
    manifest = result.outcome.manifest
    return (
        f"{head}: {counted(manifest.rows, 'row')}, {manifest.bytes:,} bytes, "
        f"{result.outcome.seconds:.1f} s"
    )


def _report(results: list[ExportResult], *, as_json: bool) -> None:
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
        summary += (
            f": {counted(sum(m.rows for m in new), 'row')}, {sum(m.bytes for m in new):,} bytes"
        )
    click.echo(summary or "nothing to export: no datasets in lake.toml, or no days to recheck")
