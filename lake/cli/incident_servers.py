"""`lake incident --restore`: the servers of a day beside the timeline.

Belongs here: which snapshots are brought back, what is printed, the orderly end. Does not:
restoring, servers (lake.restore).
"""

from __future__ import annotations

import json
import time
from contextlib import ExitStack, suppress
from typing import TYPE_CHECKING

import click

from lake.base.day import Day
from lake.base.errors import LakeError
from lake.cli.signals import end_on_signals

if TYPE_CHECKING:
    from lake.config.settings import Settings
    from lake.restore.recovering import Recovered

_INTERRUPTED = 130
_LOOK_S = 0.5


def run_servers(settings: Settings, day: Day) -> bool:
    """Restores each system's newest snapshot that holds the day whole, and runs its server until
    a signal. Servers and files are gone after it. Returns whether every system came back.

    Raises PermanentError where a server ends by itself.
    """
    from lake.systems.registry import backed_up_systems  # noqa: PLC0415

    systems = backed_up_systems(settings)
    end_on_signals(_INTERRUPTED)
    running: dict[str, Recovered] = {}
    with ExitStack() as stack:
        for name in systems:
            try:
                running[name] = _recovered(settings, name, day, stack)
            except LakeError as error:
                click.echo(f"{name} was not restored: {error}", err=True)
        if running:
            with suppress(SystemExit):  # a signal is the orderly end
                _show(running, day)
                _wait(running)
    return len(running) == len(systems)


def _recovered(settings: Settings, name: str, day: Day, stack: ExitStack) -> Recovered:
    from lake.restore.recovering import recovered  # noqa: PLC0415
    from lake.snapshots.holding import snapshot_holding  # noqa: PLC0415
    from lake.store import open_store  # noqa: PLC0415

    store = open_store(settings)
    manifest = snapshot_holding(store, name, day)
    click.echo(f"{name}: {day} is whole in the snapshot of {manifest.day}", err=True)
    show = lambda text: click.echo(f"{name}: {text}", err=True)  # noqa: E731
    return stack.enter_context(recovered(settings, store, manifest, show))


def _show(running: dict[str, Recovered], day: Day) -> None:
    """Addresses as JSON on a line of standard output, what to do next on standard error."""
    from lake.systems.registry import system  # noqa: PLC0415

    lines = []  # it imports, which a signal must not meet once the servers are announced
    for name, back in running.items():
        lines += [f"note: {name}: {remark}" for remark in back.served.remarks]
        database = str(back.manifest.details.get("database", ""))
        lines += system(name).next_steps(back.served.endpoint, day, database)
    click.echo(json.dumps({name: back.served.endpoint for name, back in running.items()}))
    for line in lines:
        click.echo(line, err=True)
    click.echo("Ctrl-C stops the servers and removes their files", err=True)


def _wait(running: dict[str, Recovered]) -> None:
    while True:
        for name, back in running.items():
            back.served.stack[name].check_running()
        time.sleep(_LOOK_S)
