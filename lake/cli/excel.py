"""Answers as an Excel workbook.

Belongs here: which cell a value becomes, the bounds of a sheet. Does not: where files lie (files).
"""

from __future__ import annotations

import math
from datetime import UTC, date, datetime
from decimal import Context, Decimal
from io import BytesIO
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any

import xlsxwriter
from xlsxwriter.exceptions import FileCreateError

from lake.base.errors import UsageError
from lake.cli.rows import as_text, distinct_names
from lake.process.scratch import scratch_directory
from lake.query import Answer

if TYPE_CHECKING:
    from xlsxwriter.format import Format
    from xlsxwriter.worksheet import Worksheet

    _Formats = dict[type[date], Format]

MAX_ROWS = 1_048_575  # and the header
MAX_COLUMNS = 16_384
MAX_CHARACTERS = 32_767  # UTF-16 code units of a cell
_FIRST_DATE = date(1900, 3, 1)  # Excel counts a 29 February 1900
_LAST_TIME = datetime(9999, 12, 31, 23, 59, 59, 999_000)  # noqa: DTZ001  Excel's milliseconds
_DIGITS = 15  # that Excel shows; a file has 16, so of floats the 17th is rounded
_ALL_DIGITS = Context(prec=100)
_FORMATS = {datetime: "yyyy-mm-dd hh:mm:ss.000", date: "yyyy-mm-dd"}


def write_xlsx(answer: Answer, file: IO[bytes]) -> int:
    """One sheet with a header. Returns the number of rows.

    A cell is a number, a boolean, a date or a time (UTC), else text as in CSV: integers and
    decimals of more than 15 digits, NaN, nested values, bytes. Floats are rounded to 16 digits.
    Text is never a formula. The rows are kept on the file's own disk until they are packed, those
    of a file without a name in TMPDIR. Raises UsageError where a sheet is too small, OSError.
    """
    _require_columns(len(answer.columns))
    beside = Path(file.name).parent if isinstance(file.name, str) else None
    target = _Target(file)
    with scratch_directory(".lake-", beside) as spool:
        options = {"tmpdir": str(spool), "constant_memory": True}
        # No `with`: its end packs the sheet after an error, too.
        workbook = xlsxwriter.Workbook(target, {**options, "default_date_format": _FORMATS[date]})
        rows = _fill(workbook, answer)
        try:
            workbook.close()
        except FileCreateError as error:  # an OSError within
            target.abandon()
            raise error.args[0] from error
    return rows


class _Target:
    """The file; once abandoned, what XlsxWriter still writes when it is collected is dropped."""

    def __init__(self, file: IO[bytes]) -> None:
        self._file = file

    def abandon(self) -> None:
        self._file = BytesIO()

    def __getattr__(self, name: str) -> Any:
        return getattr(self._file, name)


def _fill(workbook: xlsxwriter.Workbook, answer: Answer) -> int:
    rows = 0
    sheet = workbook.add_worksheet("answer")
    formats = {kind: workbook.add_format({"num_format": f}) for kind, f in _FORMATS.items()}
    bold = workbook.add_format({"bold": True})
    for column, name in enumerate(distinct_names(answer.columns)):
        sheet.write_string(0, column, _bounded(name, 0, name), bold)
    sheet.freeze_panes(1, 0)
    for rows, row in enumerate(answer.rows, 1):
        if rows > MAX_ROWS:
            raise _too_many("rows", f"at most {MAX_ROWS:,}", f"more than {MAX_ROWS:,}")
        for column, value in enumerate(row):
            _write(sheet, rows, column, value, formats, answer.columns[column])
    return rows


def _write(
    sheet: Worksheet,
    row: int,
    column: int,
    value: Any,
    formats: dict[type[date], Format],
    name: str,
) -> None:
    match value:
        case None:
            return
        case bool():
            sheet.write_boolean(row, column, value)
        case int() | float() | Decimal() if _is_exact(value):
            sheet.write_number(row, column, value)
        case datetime() if value.date() >= _FIRST_DATE and _utc(value) <= _LAST_TIME:
            sheet.write_datetime(row, column, _utc(value), formats[datetime])
        case date() if not isinstance(value, datetime) and value >= _FIRST_DATE:
            sheet.write_datetime(row, column, value, formats[date])
        case _:
            sheet.write_string(row, column, _bounded(as_text(value), row, name))


def _utc(value: datetime) -> datetime:
    return value.astimezone(UTC).replace(tzinfo=None) if value.tzinfo else value


def _is_exact(value: float | Decimal) -> bool:
    """Whether Excel shows the value as it is; a float is one of limited precision anyway."""
    if isinstance(value, int):
        return len(str(abs(value))) <= _DIGITS
    if isinstance(value, Decimal):
        digits = value.normalize(_ALL_DIGITS).as_tuple().digits
        return value.is_finite() and len(digits) <= _DIGITS
    return math.isfinite(value)


def _bounded(text: str, row: int, name: str) -> str:
    """XlsxWriter leaves out a longer text."""
    length = len(text.encode("utf-16-le", "surrogatepass")) // 2
    if length > MAX_CHARACTERS:
        where = f"row {row}, column {name[:100]}"
        raise _too_many(
            "characters in a cell", f"at most {MAX_CHARACTERS:,}", f"{length:,}, {where}"
        )
    return text


def _require_columns(number: int) -> None:
    if number > MAX_COLUMNS:
        raise _too_many("columns", f"at most {MAX_COLUMNS:,}", f"{number:,}")


def _too_many(what: str, expected: str, found: str) -> UsageError:
    return UsageError(
        f"the answer has too many {what} for an Excel sheet",
        expected=expected,
        found=found,
        remedy="shorten the answer in the SQL, or write --parquet or --csv",
    )
