"""`lake query`, `lake trend` and `lake catalog`.

Belongs here: their options, and what is printed. Does not: SQL, plots, the catalog.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING

import click

from lake.base.causes import cause
from lake.base.day import Day, require_range
from lake.base.errors import UsageError
from lake.base.printable import shown
from lake.cli.completing import DatasetType, FileType, TrendType
from lake.cli.options import DayType, config_option, json_option
from lake.cli.standard_streams import input_lines

if TYPE_CHECKING:
    from lake.cli.files import AnswerFile
    from lake.query import Answer, ArrowAnswer, Lake
    from lake.trends import Period

_QUARTER = re.compile(r"(\d{4})Q([1-4])", re.IGNORECASE)
_DEFAULT_DAYS = 92
_OPTION = re.compile(r"-[a-z]|--[a-z][a-z-]*(=.*)?", re.DOTALL)  # or a comment of one word
csv_option = click.option("--csv", "as_csv", is_flag=True, help="Prints CSV with a header.")
rows_option = click.option(
    "--rows",
    metavar="N",
    type=click.IntRange(min=0),
    help="Number of rows to show on a terminal, 0 for all (default: 100 lines' worth).",
)


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
                          WHERE day >= '2026-07-01' AND day < '2026-10-01' GROUP BY day"

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

    _one_form(as_csv, as_json, **files)
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
            _write(answer, as_csv, as_json, rows)


def _write_file(file: AnswerFile, answer: Answer | ArrowAnswer) -> None:
    _echo_notes(answer)
    rows = file.write(answer)
    click.echo(f"{rows:,} {'row' if rows == 1 else 'rows'} in {file.shown}", err=True)


def _echo_notes(answer: Answer | ArrowAnswer) -> None:
    for note in answer.notes:
        click.echo(shown(note), err=True)


@click.command()
@click.argument("name", type=TrendType(), required=False)
@click.option("--quarter", metavar="2026Q3", help="Calendar quarter (UTC).")
@click.option("--from", "start", type=DayType(), help="Start day (UTC).")
@click.option("--to", "end", type=DayType(), help="End day (UTC, exclusive).")
@click.option("--compare", is_flag=True, help="Compares the range with the one before.")
@click.option(
    "--weekly", is_flag=True, help="One row a week, with the change from the week before."
)
@click.option(
    "--monthly", is_flag=True, help="One row a month, with the change from the month before."
)
@click.option("--metric", metavar="M", help="Metric, for trends that take one.")
@click.option("--by", metavar="LABEL", help="Label, for trends that take one.")
@click.option(
    "--dataset", metavar="NAME", type=DatasetType(), help="Dataset to read, if several fit."
)
@click.option(
    "--png",
    type=click.Path(dir_okay=False, path_type=Path),
    help="File for a plot (1200 × 700 pixels).",
)
@click.option("--spark", is_flag=True, help="Prints the query in Spark SQL, and does not run it.")
@rows_option
@csv_option
@json_option
@config_option
def trend(
    name: str | None,
    quarter: str | None,
    start: Day | None,
    end: Day | None,
    compare: bool,
    weekly: bool,
    monthly: bool,
    metric: str | None,
    by: str | None,
    dataset: str | None,
    png: Path | None,
    spark: bool,
    rows: int | None,
    as_csv: bool,
    as_json: bool,
    config: str | None,
) -> None:
    """Runs a predefined trend query, and plots it with --png.

    Lists the trends if NAME is omitted: which dataset of this lake each reads, or what the lake
    lacks. Trends find metrics, labels and fields under any dataset's name. They read rollups,
    and the tables themselves on days without a current rollup: `lake rollup` makes them fast.
    Files in `trends/` beside lake.toml are listed, too.

    The default range is the last 92 closed UTC days. --compare compares it with the range before,
    a quarter with the quarter before. --weekly and --monthly show the whole weeks or months that
    begin in the range and are over.

    Standard error lists days of the range that are not in the lake, and values that a column
    does not include.

    \b
    Example:  lake trend http_errors --quarter 2026Q3 --compare
    """
    from lake.cli.trend import TrendRequest, list_trends, show_trend, spark_trend  # noqa: PLC0415

    _one_form(as_csv, as_json)
    options = {key: value for key, value in (("metric", metric), ("by", by)) if value is not None}
    if name is None:
        given = {"quarter": quarter, "from": start, "to": end, "compare": compare,
                 "weekly": weekly, "monthly": monthly, **options, "dataset": dataset, "png": png,
                 "spark": spark}  # fmt: skip
        _require_list_only(given)
        _write(list_trends(config, none=None if as_json else ""), as_csv, as_json, rows)
        return
    if weekly and monthly:
        raise UsageError("--weekly and --monthly exclude each other")
    every: Period | None = "week" if weekly else "month" if monthly else None
    request = TrendRequest(name, _range(quarter, start, end), compare, every, options, dataset, png)
    if spark:
        click.echo(spark_trend(request, config))
        return
    answer = show_trend(request, config)
    if not png or as_csv or as_json:
        _write(answer, as_csv, as_json, rows)


@click.command()
@click.argument("file", type=click.Path(dir_okay=False, path_type=Path))
@click.option("--spark", is_flag=True, help="Writes a JSON description for Spark instead.")
@json_option
@config_option
def catalog(file: Path, spark: bool, as_json: bool, config: str | None) -> None:
    """Writes a DuckDB file with views of the lake's tables.

    The file is for other clients of DuckDB: duckdb itself, DBeaver, Metabase. It holds no data
    and no credentials. It covers the days that are in the lake now; write it again after an
    export. Its view lake_catalog has its age, the macro lake_catalog_missing() the days
    that it lacks, or that were written again since.
    Tables and columns have comments: source, unit, time zone, rules.

    With --spark the file is JSON for deploy/spark/lake_tables.py, which makes the same tables
    in a Spark session.

    \b
    Example:  lake catalog lake.duckdb
    """
    from lake.catalog import opening_script, opening_statements, write_catalog  # noqa: PLC0415
    from lake.query import connect  # noqa: PLC0415

    with connect(config) as lake:
        if spark:
            _write_for_spark(lake, file, as_json=as_json)
            return
        write_catalog(lake, file)
    if as_json:
        tables = [dataset.name for dataset in lake.settings.dataset]
        opened = opening_statements(lake.settings, file)
        catalog_file = {"file": str(file), "tables": tables, "open": opened}
        click.echo(json.dumps(catalog_file, ensure_ascii=False))
    else:
        click.echo(opening_script(lake.settings, file))


def _write_for_spark(lake: Lake, file: Path, *, as_json: bool) -> None:
    from lake.spark import write_description  # noqa: PLC0415

    described = write_description(lake, file)
    tables = [table["name"] for table in described["tables"]]
    views = [view for table in described["tables"] for view in (table["name"], *table["variants"])]
    opened = ["from lake_tables import open_lake", f"open_lake(spark, {str(file)!r})"]
    if as_json:
        shown = {"file": str(file), "tables": tables, "views": views, "open": opened}
        click.echo(json.dumps(shown, ensure_ascii=False))
        return
    listed = ", ".join(views) or "no table"
    click.echo(f"# {file} has {listed}. With deploy/spark/lake_tables.py, in PySpark:")
    click.echo("\n".join(opened))


def _require_list_only(given: Mapping[str, object]) -> None:
    """Raises UsageError for options that a list of trends does not have."""
    if needless := [f"--{name}" for name, value in given.items() if value]:
        raise UsageError(
            "no trend is named",
            expected="lake trend NAME " + " ".join(needless),
            found=", ".join(needless),
            remedy="`lake trend` lists the names",
        )


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


def _one_form(as_csv: bool, as_json: bool, **files: str | None) -> None:
    forms = {"csv": as_csv, "json": as_json, **files}
    given = [f"--{name}" for name, value in forms.items() if value or value == ""]
    if len(given) > 1:
        raise UsageError(f"{' and '.join(given)} exclude each other")


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


def _range(quarter: str | None, start: Day | None, end: Day | None) -> tuple[Day, Day]:
    """The days that the options name, [first, last). Raises UsageError."""
    if quarter and (start or end):
        raise UsageError("--quarter and --from/--to exclude each other")
    if quarter:
        return _quarter(quarter)
    if not start and not end:
        today = Day.today()
        return today.plus(-_DEFAULT_DAYS), today
    if not (start and end):
        raise UsageError("--from and --to belong together", expected="both, --to exclusive")
    require_range(start, end)
    return start, end


def _quarter(text: str) -> tuple[Day, Day]:
    match = _QUARTER.fullmatch(text)
    if match is None:
        raise UsageError("not a quarter", expected="such as 2026Q3", found=repr(text))
    year, number = int(match[1]), int(match[2])
    following = (year, number * 3 + 1) if number < 4 else (year + 1, 1)
    starts = [f"{y:04d}-{m:02d}-01" for y, m in ((year, number * 3 - 2), following)]
    return Day.parse(starts[0]), Day.parse(starts[1])


def _write(answer: Answer, as_csv: bool, as_json: bool, shown: int | None) -> None:
    from lake.cli import rows  # noqa: PLC0415

    if as_json:
        rows.write_json(answer)
    elif as_csv:
        rows.write_csv(answer)
    else:
        from lake.cli.tables import write_table  # noqa: PLC0415

        write_table(answer, shown)
