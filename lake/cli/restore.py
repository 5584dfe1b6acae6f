"""`lake restore`.

Belongs here: options, and what is printed for the user and for programs.
Does not: restoring, servers.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Callable
from contextlib import ExitStack, suppress
from pathlib import Path
from typing import TYPE_CHECKING

import click

from lake.base.day import Day
from lake.base.errors import UsageError
from lake.base.sizes import counted, size
from lake.cli.hints import lake_command, quoted
from lake.cli.options import DayType, config_option, json_option
from lake.cli.signals import end_on_signals
from lake.cli.snapshots import reading
from lake.systems import SYSTEMS

if TYPE_CHECKING:
    from lake.config.settings import Settings
    from lake.restore.files import Restored
    from lake.restore.server import Served
    from lake.snapshots.manifest import SnapshotManifest
    from lake.store import Store

_INTERRUPTED = 130


@click.command()
@click.argument("system", type=click.Choice(SYSTEMS))
@click.option(
    "--day",
    type=DayType(),
    help="UTC day of data; selects the newest snapshot that holds it in full.",
)
@click.option(
    "--snapshot",
    type=DayType(),
    help="UTC day on which the snapshot was taken; selects that snapshot.",
)
@click.option(
    "--into",
    type=click.Path(file_okay=False, path_type=Path),
    required=True,
    help="New or empty directory, or that of an interrupted restore of this snapshot.",
)
@click.option("--serve", is_flag=True, help="Runs a server on the restored data until Ctrl-C.")
@click.option("--down", is_flag=True, help="Stops the server of --into and removes the directory.")
@click.option(
    "--grafana",
    metavar="URL",
    help="Grafana that has the server as a data source while it runs; the environment "
    "variable GRAFANA_TOKEN holds a service account's token.",
)
@json_option
@config_option
def restore(
    system: str,
    day: Day | None,
    snapshot: Day | None,
    into: Path,
    serve: bool,
    down: bool,
    grafana: str | None,
    as_json: bool,
    config: str | None,
) -> None:
    """Restores a snapshot, and runs a server on it with --serve.

    Select the snapshot with --day or --snapshot. Checksums are verified during the download;
    missing and altered objects are listed. An interrupted restore resumes where it stopped.
    With --serve, a temporary server runs on the restored data, its counts are compared with the
    snapshot's, and its address is printed as JSON.

    \b
    Example:  lake restore prometheus --day 2026-11-22 --into ~/incident --serve
    """
    if down:
        _down(system, into, as_json=as_json)
        return
    if (day is None) == (snapshot is None):
        raise UsageError(
            "--day and --snapshot exclude each other" if day else "no snapshot is chosen",
            expected="either --day D, a day of data, or --snapshot DAY, when it was taken",
            found="both" if day else "neither",
            remedy="`lake snapshots` lists them with the days that they hold",
        )
    from lake.systems.registry import system as registered  # noqa: PLC0415

    if grafana and not (serve and registered(system).grafana_type):
        raise UsageError(
            "--grafana needs --serve, and a system that Grafana has a data source for",
            expected="lake restore prometheus|loki … --serve --grafana URL",
        )
    from lake.config.settings import load  # noqa: PLC0415
    from lake.restore.compose import write_compose  # noqa: PLC0415
    from lake.restore.directory import serving  # noqa: PLC0415
    from lake.restore.server import serving_remark  # noqa: PLC0415
    from lake.snapshots.holding import snapshot_holding  # noqa: PLC0415
    from lake.snapshots.manifest import read_snapshot  # noqa: PLC0415
    from lake.store import open_store  # noqa: PLC0415

    settings = load(config)
    store = open_store(settings)
    end_on_signals(_INTERRUPTED)
    if snapshot is not None:
        manifest = read_snapshot(store, system, snapshot)
        shown_day = manifest.counted_day()
    else:
        assert day is not None  # noqa: S101  looked at above
        manifest = snapshot_holding(store, system, day)
        shown_day = day
        click.echo(f"{day} is whole in the snapshot of {manifest.day}", err=True)
    with ExitStack() as running:
        # From the first byte on `--down` finds this process, and no other one writes there.
        restored = _files(store, manifest, into, lambda: running.enter_context(serving(into)))
        compose = write_compose(manifest, into)
        if serve:
            _serve(settings, manifest, into, grafana, shown_day, as_json=as_json)
            return
    if remark := serving_remark(manifest):
        click.echo(f"note: {remark}", err=True)
    if as_json:
        report = {
            "system": system,
            "day": str(day or manifest.day),
            "snapshot": manifest.day,
            "directory": str(restored.directory),
            "files": restored.files,
            "bytes": restored.bytes,
            "fetched_bytes": restored.fetched_bytes,
            "compose": str(compose),
        }
        click.echo(json.dumps(report))
    else:
        # Not --day: a later snapshot may hold that day, too, and can't be served from there.
        again = f"restore {system} --snapshot {manifest.day} --into {quoted(into)} --serve"
        click.echo(f"next: {lake_command()} {again}")
        click.echo(f"or, with Docker: docker compose -f {quoted(compose)} up")


def _files(
    store: Store, manifest: SnapshotManifest, into: Path, claimed: Callable[[], object]
) -> Restored:
    from lake.restore.files import restore_files  # noqa: PLC0415
    from lake.servers.progress import shown  # noqa: PLC0415
    from lake.systems.registry import system  # noqa: PLC0415

    with shown(sys.stderr) as progress:
        report = reading(progress, f"{manifest.system} {manifest.day}", manifest.bytes)
        below = system(manifest.system).restored_below
        restored = restore_files(store, manifest, into, below, report, claimed)
    click.echo(
        f"{counted(restored.files, 'file')}, {size(restored.bytes)} restored to "
        f"{restored.directory}, checksums verified",
        err=True,
    )
    return restored


def _serve(
    settings: Settings,
    manifest: SnapshotManifest,
    into: Path,
    grafana: str | None,
    day: Day,
    *,
    as_json: bool,
) -> None:
    from lake.restore.grafana import added_to, write_provisioning  # noqa: PLC0415
    from lake.restore.server import serve as start_serving  # noqa: PLC0415
    from lake.servers.progress import shown  # noqa: PLC0415
    from lake.systems.registry import tenant_of  # noqa: PLC0415

    tenant = str(manifest.details.get("tenant", tenant_of(settings, manifest.system)))
    with shown(sys.stderr) as progress:
        served = start_serving(manifest, into, tenant, progress)
    with (
        served.stack,
        write_provisioning(into, manifest.system, manifest.day, served.endpoint, tenant),
        added_to(grafana, manifest.system, manifest.day, served.endpoint, tenant),
        suppress(SystemExit),  # a signal is the orderly end from the first word on
    ):
        # It imports, which a signal must not meet once the server is announced.
        steps = [] if as_json else _next_steps(served, manifest, into, day)
        click.echo(json.dumps({manifest.system: served.endpoint}))
        _print_checked(served)
        for line in steps:
            click.echo(line, err=True)
        if not as_json:
            _print_grafana(manifest, into, grafana)
        served.stack.wait()


def _print_checked(served: Served) -> None:
    """On standard error: the JSON has standard output for itself."""
    for name, value in served.checked.items():
        click.echo(f"as in the snapshot: {name} = {value}", err=True)
    for remark in served.remarks:
        click.echo(f"note: {remark}", err=True)


def _next_steps(served: Served, manifest: SnapshotManifest, into: Path, day: Day) -> list[str]:
    """What a person types next."""
    from lake.systems.registry import system  # noqa: PLC0415

    database = str(manifest.details.get("database", ""))
    down = f"restore {manifest.system} --into {quoted(into)} --down"
    return [
        *system(manifest.system).next_steps(served.endpoint, day, database),
        f"Ctrl-C stops it; `{lake_command()} {down}` stops it and removes the directory",
    ]


def _print_grafana(manifest: SnapshotManifest, into: Path, grafana: str | None) -> None:
    from lake.restore.grafana import PROVISIONING  # noqa: PLC0415
    from lake.systems.registry import system  # noqa: PLC0415

    if grafana:
        click.echo(f"it is a data source of {grafana} while this runs", err=True)
    elif system(manifest.system).grafana_type:
        click.echo(
            f"for a Grafana on this machine: copy {into / PROVISIONING} into its "
            "provisioning/datasources/, or add --grafana URL",
            err=True,
        )


def _down(system: str, into: Path, *, as_json: bool) -> None:
    from lake.restore.directory import bring_down  # noqa: PLC0415
    from lake.restore.files import restored_snapshot  # noqa: PLC0415

    restored = restored_snapshot(into)
    if restored["system"] != system:
        raise UsageError(
            "another system was restored there",
            where=into,
            expected=system,
            found=restored["system"],
        )
    stopped = bring_down(into)
    click.echo(f"{'server stopped, ' if stopped else ''}{into} removed", err=True)
    if as_json:
        click.echo(json.dumps({"directory": str(into), "stopped": stopped}))
