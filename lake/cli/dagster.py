"""`lake dagster`: a Dagster home for the scheduled runs.

Belongs here: writing it, and the commands that start Dagster. Does not: what Dagster runs.
"""

from __future__ import annotations

import json
import shlex
import shutil
import sys
from pathlib import Path

import click

from lake.base.causes import cause
from lake.base.errors import PermanentError
from lake.cli.options import config_option, json_option
from lake.process.scratch import replaced_at_once

_INSTANCE = "dagster.yaml"
_COMMAND = ("dev", "--module-name", "assets.definitions")


@click.command()
@click.argument("directory", type=click.Path(file_okay=False, path_type=Path))
@json_option
@config_option
def dagster(directory: Path, as_json: bool, config: str | None) -> None:
    """Prepares a Dagster home for scheduled exports.

    Writes DIRECTORY/dagster.yaml unless it exists, and prints how to start Dagster. Dagster
    stores its runs and schedules in DIRECTORY and exports the datasets of lake.toml. It can be
    started from any directory.

    \b
    Example:  lake dagster ~/dagster-lake
    """
    from lake.config.settings import find_file, load  # noqa: PLC0415

    load(config)  # Dagster would report a wrong file in its UI only
    written = _write_instance(directory)
    environment = {
        "LAKE_CONFIG": str(find_file(config).absolute()),
        "DAGSTER_HOME": str(directory.absolute()),
    }
    command = [str(Path(sys.executable).parent / "dagster"), *_COMMAND]
    if as_json:
        click.echo(json.dumps({"written": written, "environment": environment, "command": command}))
        return
    click.echo(f"{directory / _INSTANCE}{'' if written else ' exists and is left as it is'}")
    click.echo("Start Dagster with:")
    for name, value in environment.items():
        click.echo(f"  export {name}={shlex.quote(value)}")
    click.echo(f"  {shlex.join(command)}")


def _write_instance(directory: Path) -> bool:
    """Whether there was none."""
    from lake.base.resources import resource_path  # noqa: PLC0415

    file = directory / _INSTANCE
    try:
        directory.mkdir(parents=True, exist_ok=True)
        if file.exists():
            return False
        with replaced_at_once(file) as part:
            shutil.copyfile(resource_path("deploy/dagster/dagster.yaml"), part)
    except OSError as error:
        raise PermanentError(
            "Dagster's home can't be written",
            where=directory,
            expected="a directory that can be created or written to",
            found=cause(error),
            remedy="name another directory",
        ) from error
    return True
