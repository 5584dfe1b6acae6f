"""`lake snapshots`.

Belongs here: options, progress and reports. Does not: listing, verifying and removing snapshots
(lake.snapshot).
"""

from __future__ import annotations

import json
import sys
from collections.abc import Callable
from threading import Lock
from typing import TYPE_CHECKING

import click

from lake.base.day import Day
from lake.base.sizes import counted, size
from lake.cli.options import DayType, config_option, json_option
from lake.systems import SYSTEMS

if TYPE_CHECKING:
    from lake.servers.progress import Progress
    from lake.snapshots.manifest import SnapshotManifest

_SYSTEM = click.Choice(SYSTEMS)


@click.group(invoke_without_command=True)
@json_option
@config_option
@click.pass_context
def snapshots(ctx: click.Context, as_json: bool, config: str | None) -> None:
    """Lists, verifies and removes snapshots.

    Without a command: lists the snapshots with the days of data that each holds in full.

    \b
    Example:  lake snapshots
    """
    if ctx.invoked_subcommand is None:
        _list(as_json=as_json, config=config)


def _list(*, as_json: bool, config: str | None) -> None:
    from lake.config.settings import load  # noqa: PLC0415
    from lake.snapshot import Unreadable, every_snapshot  # noqa: PLC0415
    from lake.snapshots.holding import spans  # noqa: PLC0415
    from lake.store import open_store  # noqa: PLC0415

    manifests = list(every_snapshot(open_store(load(config)), SYSTEMS))
    damaged = any(isinstance(manifest, Unreadable) for manifest in manifests)
    if as_json:
        rows = [
            vars(manifest) if isinstance(manifest, Unreadable) else _row(manifest)
            for manifest in manifests
        ]
        click.echo(json.dumps(rows, indent=1))
        sys.exit(int(damaged))
    if not manifests:
        click.echo("no snapshots yet: `lake snapshot mongo|prometheus|loki` takes one")
    for listed in manifests:
        if isinstance(listed, Unreadable):
            click.echo(f"{listed.system:<11} {listed.day}  DAMAGED  {listed.problem}")
            continue
        server = f"{listed.server.get('name')} {listed.server.get('version')}"
        click.echo(
            f"{listed.system:<11} {listed.day}  "
            f"{counted(listed.paths, 'file'):>12}  "
            f"{size(listed.bytes):>9}  {server}, taken {listed.created_at[:16]}Z, "
            f"holds {spans(listed.held_days())}"
        )
        for warning in listed.warnings():
            click.echo(f"{'':<11} warning: {warning}")
    sys.exit(int(damaged))


@snapshots.command()
@click.argument("system", type=_SYSTEM, required=False)
@click.option(
    "--day",
    type=DayType(),
    help="UTC day on which the snapshot was taken (default: all snapshots).",
)
@click.option(
    "--sample",
    default="100%",
    show_default=True,
    metavar="N%",
    help="Share of the objects to read back, chosen at random (at least one).",
)
@click.option("--seed", type=int, metavar="N", help="Random seed of --sample.")
@json_option
@config_option
def verify(
    system: str | None,
    day: Day | None,
    sample: str,
    seed: int | None,
    as_json: bool,
    config: str | None,
) -> None:
    """Verifies that snapshots are intact (default: all).

    Checks that every object exists with the manifest's size, and reads the sampled objects
    (default: all) to compare their SHA-256. Cost: one listing, and the download of the sample.

    Exit status: 1 if an object is missing or altered.

    \b
    Example:  lake snapshots verify loki --sample 5%
    """
    from lake.base.errors import UsageError  # noqa: PLC0415
    from lake.config.settings import load  # noqa: PLC0415
    from lake.servers.progress import shown  # noqa: PLC0415
    from lake.snapshot import (  # noqa: PLC0415
        SnapshotFinding,
        Unreadable,
        every_snapshot,
        verify_snapshot,
    )
    from lake.snapshots.manifest import read_snapshot  # noqa: PLC0415
    from lake.store import open_store  # noqa: PLC0415

    percent = _percent(sample)
    store = open_store(load(config))
    systems = (system,) if system else SYSTEMS
    if day and not system:
        raise UsageError("--day needs a system", expected="lake snapshots verify SYSTEM --day D")
    chosen = (
        [read_snapshot(store, systems[0], day)] if day else list(every_snapshot(store, systems))
    )
    findings = []
    with shown(sys.stderr) as progress:
        for manifest in chosen:
            if isinstance(manifest, Unreadable):
                findings.append(
                    SnapshotFinding(manifest.system, manifest.day, 0, 0, (manifest.problem,))
                )
                if not as_json:
                    _print_finding(findings[-1].to_json())
                continue
            report = reading(progress, f"{manifest.system} {manifest.day}", manifest.bytes)
            findings.append(
                verify_snapshot(store, manifest, sample_percent=percent, seed=seed, progress=report)
            )
            if not as_json:
                _print_finding(findings[-1].to_json())
    if as_json:
        click.echo(json.dumps([finding.to_json() for finding in findings], indent=1))
    damaged = sorted({finding.system for finding in findings if finding.problems})
    for name in damaged:
        click.echo(
            f"`lake snapshot {name} --fresh` takes one that uses no damaged object", err=True
        )
    sys.exit(int(bool(damaged)))


@snapshots.command()
@click.argument("system", type=_SYSTEM)
@click.option(
    "--day", type=DayType(), required=True, help="UTC day on which the snapshot was taken."
)
@json_option
@config_option
def remove(system: str, day: Day, as_json: bool, config: str | None) -> None:
    """Removes one snapshot.

    Objects that other snapshots need are kept.

    \b
    Example:  lake snapshots remove loki --day 2026-11-01
    """
    from lake.config.settings import load  # noqa: PLC0415
    from lake.snapshot import remove_snapshot  # noqa: PLC0415
    from lake.store import open_store  # noqa: PLC0415

    freed = remove_snapshot(open_store(load(config)), system, day)
    if as_json:
        click.echo(json.dumps({"system": system, "day": str(day), "freed_bytes": freed}))
    else:
        click.echo(f"{system} {day} removed, {size(freed)} freed")


@snapshots.command()
@json_option
@config_option
def clean(as_json: bool, config: str | None) -> None:
    """Removes unused objects of snapshots.

    Interrupted and replaced snapshots leave them behind. Only those older than a day are removed.

    \b
    Example:  lake snapshots clean
    """
    from lake.config.settings import load  # noqa: PLC0415
    from lake.snapshot import clean as clean_up  # noqa: PLC0415
    from lake.store import open_store  # noqa: PLC0415

    store = open_store(load(config))
    freed = {system: clean_up(store, system) for system in SYSTEMS}
    if as_json:
        click.echo(json.dumps({"freed_bytes": freed}))
    else:
        click.echo(f"{size(sum(freed.values()))} freed")


def reading(progress: Progress, name: str, total: int) -> Callable[[int], None]:
    """Reports how many bytes of a total have been read; safe across threads."""
    done, lock = [0], Lock()

    def report(more: int) -> None:
        with lock:
            done[0] += more
        progress(name, f"{size(done[0])} of {size(total)}")

    return report


def _percent(text: str) -> float:
    from lake.base.errors import UsageError  # noqa: PLC0415

    try:
        percent = float(text.removesuffix("%"))
    except ValueError:
        percent = -1
    if not 0 < percent <= 100:
        raise UsageError(
            "invalid --sample",
            expected="a percentage above 0 and up to 100, such as 10%",
            found=text,
        )
    return percent


def _print_finding(finding: dict[str, object]) -> None:
    verdict = "ok" if finding["ok"] else "DAMAGED"
    objects, checked = (int(str(finding[f"checked_{key}"])) for key in ("objects", "bytes"))
    click.echo(
        f"{finding['system']:<11} {finding['day']}  {verdict}  "
        f"{counted(objects, 'object')}, {size(checked)}"
    )
    for problem in finding["problems"]:  # type: ignore[attr-defined]
        click.echo(f"  {problem}")


def _row(manifest: SnapshotManifest) -> dict[str, object]:
    return {
        "system": manifest.system,
        "day": manifest.day,
        "created_at": manifest.created_at,
        "files": manifest.paths,
        "objects": len(manifest.objects),
        "bytes": manifest.bytes,
        "server": manifest.server,
        "window": manifest.window,
        "whole_days": [str(day) for day in manifest.held_days()],
        "counts": manifest.counts,
        "warnings": manifest.warnings(),
        "restore": manifest.restore,
    }
