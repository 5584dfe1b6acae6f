"""`lake documents`.

Belongs here: its options, and where the lines go. Does not: a line's content.
"""

from __future__ import annotations

import sys

import click

from lake.base.day import Day
from lake.cli.completing import DatasetType
from lake.cli.options import DayType, config_option, json_option


@click.command()
@click.argument("dataset", type=DatasetType())
@click.option("--day", type=DayType(), required=True, help="UTC day to print.")
@json_option
@config_option
def documents(dataset: str, day: Day, as_json: bool, config: str | None) -> None:  # noqa: ARG001
    """Prints the MongoDB documents of one exported day.

    Prints canonical Extended JSON, one document per line, with or without --json. A document
    that Extended JSON can't represent is printed as {"$raw": {"$binary": ...}} with its BSON.

    Values are those of the source; the order of fields and the width of integers may differ.

    \b
    Example:  lake documents usage_analytics --day 2026-11-01 > documents.jsonl
    """
    from lake.config.settings import load  # noqa: PLC0415
    from lake.documents import documents as rebuilt_documents  # noqa: PLC0415
    from lake.store import open_store  # noqa: PLC0415

    settings = load(config)
    for line in rebuilt_documents(open_store(settings), settings.dataset_named(dataset), day):
        sys.stdout.write(line + "\n")
