"""The form of an answer: a table, CSV or JSON.

Belongs here: the options that choose one, and writing an answer in it. Does not: how a form looks
(rows, tables), files (files).
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from lake.base.errors import UsageError

if TYPE_CHECKING:
    from lake.query import Answer

csv_option = click.option("--csv", "as_csv", is_flag=True, help="Prints CSV with a header.")
rows_option = click.option(
    "--rows",
    metavar="N",
    type=click.IntRange(min=0),
    help="Number of rows to show on a terminal, 0 for all (default: 100 lines' worth).",
)


def require_one_form(as_csv: bool, as_json: bool, **files: str | None) -> None:
    """Raises UsageError where the options name several forms; `files` has those of files."""
    forms = {"csv": as_csv, "json": as_json, **files}
    given = [f"--{name}" for name, value in forms.items() if value or value == ""]
    if len(given) > 1:
        raise UsageError(f"{' and '.join(given)} exclude each other")


def write_answer(answer: Answer, as_csv: bool, as_json: bool, shown: int | None) -> None:
    """On standard output; `shown` rows of a table on a terminal, 0: all. Raises LakeError."""
    from lake.cli import rows  # noqa: PLC0415

    if as_json:
        rows.write_json(answer)
    elif as_csv:
        rows.write_csv(answer)
    else:
        from lake.cli.tables import write_table  # noqa: PLC0415

        write_table(answer, shown)
