"""`lake documents`.

Belongs here: its options, and where the lines go. Does not: what a line says.
"""

from __future__ import annotations

import sys

import click

from lake.base.day import Day
from lake.cli.options import DayType, config_option, json_option


@click.command()
@click.argument("dataset")
@click.option("--day", type=DayType(), required=True, help="The UTC day.")
@json_option
@config_option
def documents(dataset: str, day: Day, as_json: bool, config: str | None) -> None:  # noqa: ARG001
    """Prints a day's MongoDB documents as they were exported.

    Canonical Extended JSON, one document a line, with or without --json. A document that it
    can't say is {"$raw": {"$binary": ...}} with its BSON.

    Fields have the values they had; only their order and the width of an integer may differ.
    """
    from lake.base.settings import load  # noqa: PLC0415
    from lake.base.store import open_store  # noqa: PLC0415
    from lake.documents import documents as told  # noqa: PLC0415

    settings = load(config)
    for line in told(open_store(settings), settings.dataset_named(dataset), day):
        sys.stdout.write(line + "\n")
