"""`lake doctor`.

Belongs here: its options, and how checks are shown. Does not: the checks (lake.doctor).
"""

from __future__ import annotations

import json
import os
import sys

import click

from lake.cli.options import config_option, json_option

_COLOURS = {"ok": "green", "warn": "yellow", "fail": "red"}


@click.command()
@json_option
@config_option
def doctor(as_json: bool, config: str | None) -> None:
    """Diagnoses problems and suggests fixes.

    Checks the configuration, the store, the sources, the datasets, coverage, the expiry
    guard and the installed programs. Prints one line per check: ok, warn or fail, the last two
    with a remedy. Changes nothing, except that it writes and deletes one probe object.

    Exit status: 1 if a check fails.

    \b
    Example:  lake doctor
    """
    from lake.doctor import diagnose  # noqa: PLC0415

    checks = []
    for check in diagnose(config, os.environ):
        checks.append(check)
        if not as_json:
            click.echo(f"{click.style(f'{check.state:4}', _COLOURS[check.state])}  ", nl=False)
            click.echo(f"{check.subject}: {check.found}")
            if check.remedy:
                click.echo(f"      → {check.remedy}")
    counts = {state: sum(check.state == state for check in checks) for state in _COLOURS}
    if as_json:
        click.echo(
            json.dumps({**counts, "checks": [check.to_json() for check in checks]}, indent=1)
        )
    else:
        click.echo(", ".join(f"{number} {state}" for state, number in counts.items()))
    if counts["fail"]:
        sys.exit(1)
