"""`lake query`.

Belongs here: its options, the SQL that its arguments are or name. Does not: running SQL, the form
of an answer (forms, files).
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING

import click

from lake.base.causes import cause
from lake.base.errors import UsageError
from lake.base.printable import shown
from lake.cli.completing import FileType
from lake.cli.forms import csv_option, require_one_form, rows_option, write_answer
from lake.cli.options import config_option, json_option
from lake.cli.standard_streams import input_lines

if TYPE_CHECKING:
    from lake.cli.files import AnswerFile
    from lake.query import Answer, ArrowAnswer

_OPTION = re.compile(r"-[a-z]|--[a-z][a-z-]*(=.*)?", re.DOTALL)  # or a comment of one word


# SQL may begin with a comment, which looks like an option.
@click.command(context_settings={"ignore_unknown_options": True})
@click.argument("sql", type=FileType(), nargs=-1, required=True)
@rows_option
@csv_option
@json_option
@click.option(
    "--parquet",
    type=FileType(),
    metavar="FILE",
    help="Parquet file to write, - for standard output.",
)
@click.option(
    "--arrow",
    type=FileType(),
    metavar="FILE",
    help="Arrow IPC file to write, - for standard output.",
)
@click.option(
    "--xlsx",
    type=FileType(),
    metavar="FILE",
    help="Excel workbook to write, - for standard output.",
)
@click.option("--force", is_flag=True, help="Overwrites an existing file.")
@config_option
def query(
    sql: tuple[str, ...],
    rows: int | None,
    as_csv: bool,
    as_json: bool,
    force: bool,
    config: str | None,
    **files: str | None,
) -> None:
    """Runs a DuckDB SQL query on the lake.

    SQL is one read-only statement: its text, the name of a .sql file, or - for standard input.
    Each dataset is a table with its fields and `day` (DATE). A condition on `day`, or the
    function NAME_between(from, to), limits the query to the objects of those days.

    \b
    Example:  lake query "SELECT day, count(*) FROM usage_analytics
                          WHERE day >= '2026-07-01' AND day < '2026-10-01'
                          GROUP BY day"

    Tables of log lines have the variants NAME_with_level and NAME_with_level_between, which
    add the column `level`.

    If a field's type differs between days, it is widened: numbers to the wider type, other
    scalars to text, sub-documents beside scalars to JSON text. Standard error lists days of
    the range that are not in the lake, and values that a column does not include.

    A terminal shows the first rows, a pipe or file gets all of them. Tables show floats with four
    digits after the point, the other forms have all of them. JSON is a list of row
    objects: integers and decimals with all digits, times in ISO 8601 (UTC), bytes in base64,
    NaN and Infinity as strings. In CSV, NULL is an empty field and an empty string is "".

    --parquet, --arrow and --xlsx write a file, which appears when it is complete. Times are UTC.
    An Excel sheet holds 1,048,575 rows; integers and decimals of more than 15 digits are
    text there, and floats have 16 digits.
    """
    from lake.query import connect, inexact  # noqa: PLC0415
    from lake.query.estimate import large_read_note  # noqa: PLC0415

    require_one_form(as_csv, as_json, **files)
    statement = statement_of(sql)
    file = _answer_file(files, force=force)
    with connect(config) as lake:
        if note := large_read_note(lake, statement):
            click.echo(note, err=True)
        if file:
            _write_file(file, file.ask(lake, statement))
        else:
            answer = lake.ask(statement, as_text=inexact.TYPES)
            _echo_notes(answer)
            write_answer(answer, as_csv, as_json, rows)


def _write_file(file: AnswerFile, answer: Answer | ArrowAnswer) -> None:
    _echo_notes(answer)
    rows = file.write(answer)
    click.echo(f"{rows:,} {'row' if rows == 1 else 'rows'} in {file.shown}", err=True)


def _echo_notes(answer: Answer | ArrowAnswer) -> None:
    for note in answer.notes:
        click.echo(shown(note), err=True)


def _one_argument(arguments: tuple[str, ...]) -> str:
    """The SQL. Raises UsageError for an option that does not exist, and for several arguments."""
    option = next((a for a in arguments if _OPTION.fullmatch(a)), None)
    if option is None and len(arguments) == 1:
        return arguments[0]
    if option is None:
        raise UsageError(
            "the SQL is more than one argument",
            expected="one argument",
            found=f"{len(arguments)} arguments",
            remedy="put the SQL in quotes",
        )
    name = option.partition("=")[0]
    raise UsageError(
        f"no such option: {name}",
        remedy="`lake query --help` lists the options",
    )


def statement_of(arguments: tuple[str, ...]) -> str:
    """The SQL that the arguments of a command are or name. Raises UsageError."""
    sql = _one_argument(arguments)
    if sql == "-":
        return "".join(input_lines())
    if not sql.endswith(".sql"):
        return sql
    try:
        return Path(sql).read_text("utf-8-sig")
    except (OSError, UnicodeDecodeError) as error:
        raise UsageError(
            "not a readable SQL file",
            where=sql,
            found=cause(error),
            remedy="correct the path; SQL that is not a file must not end in .sql"
            if isinstance(error, OSError)
            else "save the file as UTF-8",
        ) from error


def _answer_file(files: Mapping[str, str | None], *, force: bool) -> AnswerFile | None:
    """The file that the options name. Raises UsageError where it can't be written."""
    from lake.cli.files import AnswerFile  # noqa: PLC0415

    for name, target in files.items():
        if target == "":  # of a variable that is not set
            raise UsageError(f"--{name} names no file", expected="a path, or - for standard output")
        if target is not None:
            file = AnswerFile(name, target)
            file.require_writable(force=force)
            return file
    if force:
        options = ", ".join(f"--{name}" for name in files)
        raise UsageError("--force without a file", expected=f"one of {options}")
    return None
