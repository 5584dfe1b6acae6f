"""`lake services`: the real servers of the demo and the tests, for a shell.

Belongs here: options and what is printed. Does not: finding, installing, running.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from lake.cli.options import json_option
from lake.cli.signals import end_on_signals

if TYPE_CHECKING:
    from lake.servers import Binary

_INTERRUPTED = 130


@click.group()
def services() -> None:
    """Finds, installs and starts the real servers mongo, prometheus, loki and s3.

    They listen on the loopback interface only. By name only: prometheus3 (Prometheus 3, beside
    Debian's 2.42), loki2, ferretdb, and the programs promtool3, thanos and logcli.

    loki is any Loki from 2.2 on: the one on PATH, else the installed Loki 2.2.1. loki2 is
    Loki 2.2.1 alone, also where a newer one is on PATH: restore, replay and rehearsal use it
    for data that came from Loki 2.2. No newer Loki is installed: those are under the AGPL.
    """


@services.command("list")
@json_option
def list_(as_json: bool) -> None:
    """Lists each server's program and version, or how it would be installed."""
    from lake.servers import EXTRA_PROGRAMS, PROGRAM_NAMES, find  # noqa: PLC0415
    from lake.servers.installing import how_installed  # noqa: PLC0415

    found = {name: find(name) for name in PROGRAM_NAMES}
    found |= {name: there for name in EXTRA_PROGRAMS if (there := find(name))}
    if as_json:
        rows = {name: _row(one) | {"install": how_installed(name)} for name, one in found.items()}
        click.echo(json.dumps(rows, indent=2))
        return
    for name, binary in found.items():
        missing = f"missing; `lake services install {name}` gets {how_installed(name)}"
        click.echo(f"{name:<11} {_line(binary) if binary else missing}")


@services.command()
@click.argument("name", nargs=-1)
@json_option
def install(name: tuple[str, ...], as_json: bool) -> None:
    """Installs the programs NAME that are missing.

    Without a NAME those of the four servers; prometheus3, loki2, thanos, ferretdb and logcli
    take some minutes each and are installed by name only. loki installs nothing where a Loki
    is on PATH; loki2 installs Loki 2.2.1 beside it.
    """
    from lake.servers import PROGRAM_NAMES  # noqa: PLC0415
    from lake.servers.binaries import check_program  # noqa: PLC0415
    from lake.servers.installing import install_all  # noqa: PLC0415
    from lake.servers.progress import shown  # noqa: PLC0415

    end_on_signals(_INTERRUPTED)
    chosen = [check_program(one) for one in name or PROGRAM_NAMES]
    with shown(sys.stderr) as progress:
        installed = install_all(chosen, progress)
    if as_json:
        click.echo(json.dumps({one: _row(binary) for one, binary in installed.items()}, indent=2))
        return
    for one, binary in installed.items():
        click.echo(f"{one:<11} {_line(binary)}")


@services.command()
@click.argument("name", nargs=-1)
@click.option(
    "--dir",
    "directory",
    type=click.Path(file_okay=False, path_type=Path),
    help="Directory that keeps data, ports and keys; without it they are removed at the end.",
)
@json_option
def up(name: tuple[str, ...], directory: Path | None, as_json: bool) -> None:  # noqa: ARG001
    """Starts the servers NAME and runs them until SIGINT or SIGTERM.

    Without a NAME: mongo, prometheus, loki, s3. Installs what is missing. When all are
    ready, one JSON object on standard output has the address of each.
    """
    from lake.servers import SERVER_NAMES, start  # noqa: PLC0415
    from lake.servers.progress import shown  # noqa: PLC0415

    end_on_signals()
    with shown(sys.stderr) as progress:
        stack = start(name or SERVER_NAMES, directory, progress)
    with stack:
        click.echo(json.dumps(stack.endpoints))
        click.echo("ready; Ctrl-C stops them", err=True)
        stack.wait()


def _row(binary: Binary | None) -> dict[str, Any]:
    if binary is None:
        return {"binary": None, "version": None, "origin": None}
    return {"binary": str(binary.path), "version": binary.version, "origin": binary.origin}


def _line(binary: Binary) -> str:
    return f"{binary.version:<9} {binary.path} ({binary.origin})"
