"""`lake describe`.

Belongs here: its options, and what is printed. Does not: what is described (lake.describe).
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import click

from lake.base.day import Day, require_range
from lake.base.printable import shown
from lake.base.sizes import counted
from lake.cli.completing import DatasetType
from lake.cli.options import DayType, config_option, json_option

if TYPE_CHECKING:
    from lake.describe import DescribedColumn, Description


@click.command()
@click.argument("dataset", type=DatasetType(), required=False)
@click.option("--from", "start", type=DayType(), help="Start day (UTC).")
@click.option("--to", "end", type=DayType(), help="End day (UTC, exclusive).")
@json_option
@config_option
def describe(
    dataset: str | None, start: Day | None, end: Day | None, as_json: bool, config: str | None
) -> None:
    """Lists a dataset's columns with types, coverage and examples.

    Shows all datasets if none is named. Prints for each column and nested field its type, the
    share of days and rows with a value, the number of values that it does not include (they are
    in _rest), and an example cut to 80 characters. The default range is the newest 31 days.

    Rows are counted from Parquet statistics; only list columns are read.

    \b
    Example:  lake describe usage_analytics --from 2026-10-01 --to 2026-11-01
    """
    from lake.describe import as_json as described_as_json  # noqa: PLC0415
    from lake.describe import describe as describe_dataset  # noqa: PLC0415
    from lake.query import connect  # noqa: PLC0415

    require_range(start, end)
    with connect(config) as lake:
        names = [dataset.name for dataset in lake.settings.dataset]
        wanted = [lake.settings.dataset_named(dataset).name] if dataset else names
        described = [describe_dataset(lake, name, start, end) for name in wanted]
    if as_json:
        click.echo(
            json.dumps([described_as_json(dataset) for dataset in described], ensure_ascii=False)
        )
        return
    for described_dataset in described:
        _print(described_dataset, start, end)


def _print(described: Description, start: Day | None, end: Day | None) -> None:
    from lake.query.notes import others_sentence  # noqa: PLC0415

    if not described.first or not described.last:
        click.echo(f"{described.dataset}: {_no_day(described, start, end)}")
        _print_rules(described)
        return
    click.echo(
        f"{described.dataset}: {counted(described.rows, 'row')} on "
        f"{counted(described.days, 'day')}, "
        f"{described.first} to {described.last}"
    )
    heads = ("column", "type", "days", "rows", "left out", "example")
    lines = [heads] + [
        (
            shown(column.path),
            shown(column.type),
            _share(column.days, described.days) + _when(column, described),
            _share(column.rows, described.rows),
            f"{column.left_out:,}" if column.left_out else "",
            shown(column.example or ""),
        )
        for column in described.columns
    ]
    widths = [min(40, max(len(line[place]) for line in lines)) for place in range(5)]
    for line in lines:
        padded = (text.ljust(width) for text, width in zip(line, widths, strict=False))
        click.echo("  " + "  ".join([*padded, line[-1]]).rstrip())
    for path, number in sorted(described.without_column.items()):
        click.echo(f"  {number:,} values without a column: {shown(path)}")
    if described.others:
        click.echo(f"  {others_sentence(**described.others)}")
    _print_rules(described)


def _print_rules(described: Description) -> None:
    from lake.cli.status import other_rules  # noqa: PLC0415
    from lake.privacy.rules import texts_of  # noqa: PLC0415

    for text in texts_of(described.rules):
        click.echo(f"  rule of {shown(text)}")
    if described.other_rules:
        click.echo(f"  {other_rules(described.dataset, list(described.other_rules))}")


def _no_day(described: Description, start: Day | None, end: Day | None) -> str:
    if not described.held:
        return "no day is in the lake yet"
    if start and end:
        wanted = f"from {start} to {end.plus(-1)}"
    else:
        wanted = f"from {start} on" if start else f"before {end}"
    first, last = described.held
    return f"no day {wanted} is in the lake (it has {first} … {last})"


def _when(column: DescribedColumn, described: Description) -> str:
    """Since when there is a column that not all days have, and until when."""
    if column.days == described.days or not column.first:
        return ""
    return f", {column.first} … {column.last}"


def _share(part: int, whole: int) -> str:
    return f"{100 * part / whole:.4g} %" if whole else "0 %"
