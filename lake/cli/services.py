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
    """Installs and runs local servers: mongo, prometheus, loki, s3.

    The servers listen on the loopback interface only. Further programs, by name: prometheus3
    (Prometheus 3, beside Debian's 2.42), loki2, ferretdb, alertmanager, cortex, promtool3, thanos
    and logcli.

    loki is the Loki on PATH (2.2 or newer), else an installed Loki 2.2.1. loki2 is always
    Loki 2.2.1: restore, replay and rehearse use it for data from Loki 2.2. Newer versions of
    Loki are never installed, because of their licence (AGPL).

    \b
    Example:  lake services up prometheus loki
    """


@services.command("list")
@json_option
def list_(as_json: bool) -> None:
    """Lists each program with its version and path.

    For a missing program: how it would be installed.

    \b
    Example:  lake services list
    """
    from lake.servers import EXTRA_PROGRAMS, PROGRAM_NAMES, find  # noqa: PLC0415
    from lake.servers.installing import how_installed  # noqa: PLC0415

    binaries = {name: find(name) for name in PROGRAM_NAMES}
    binaries |= {name: there for name in EXTRA_PROGRAMS if (there := find(name))}
    if as_json:
        rows = {
            name: _row(binary) | {"install": how_installed(name)}
            for name, binary in binaries.items()
        }
        click.echo(json.dumps(rows, indent=2))
        return
    for name, binary in binaries.items():
        missing = f"missing; `lake services install {name}` gets {how_installed(name)}"
        click.echo(f"{name:<11} {_line(binary) if binary else missing}")


@services.command()
@click.argument("name", nargs=-1)
@json_option
def install(name: tuple[str, ...], as_json: bool) -> None:
    """Installs missing programs.

    Default: those of the four servers. prometheus3, loki2, thanos, cortex, ferretdb and logcli take
    some minutes each and are installed only when named. loki is skipped if a Loki is on PATH;
    loki2 installs Loki 2.2.1 beside it.

    \b
    Example:  lake services install prometheus3
    """
    from lake.servers import PROGRAM_NAMES  # noqa: PLC0415
    from lake.servers.binaries import check_program  # noqa: PLC0415
    from lake.servers.installing import install_all  # noqa: PLC0415
    from lake.servers.progress import shown  # noqa: PLC0415

    end_on_signals(_INTERRUPTED)
    chosen = [check_program(program) for program in name or PROGRAM_NAMES]
    with shown(sys.stderr) as progress:
        installed = install_all(chosen, progress)
    if as_json:
        click.echo(
            json.dumps({program: _row(binary) for program, binary in installed.items()}, indent=2)
        )
        return
    for installed_name, binary in installed.items():
        click.echo(f"{installed_name:<11} {_line(binary)}")


@services.command()
@click.argument("name", nargs=-1)
@click.option(
    "--dir",
    "directory",
    type=click.Path(file_okay=False, path_type=Path),
    help="Directory that keeps data, ports and keys (default: a temporary directory).",
)
@json_option
def up(name: tuple[str, ...], directory: Path | None, as_json: bool) -> None:  # noqa: ARG001
    """Starts servers and runs them until Ctrl-C.

    Default: mongo, prometheus, loki and s3. Installs missing programs first. When all servers
    are ready, prints one JSON object with the address of each to standard output. SIGINT or
    SIGTERM stops them.

    \b
    Example:  lake services up mongo s3 --dir /tmp/servers
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
