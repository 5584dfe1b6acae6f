"""Answers of SQL as a table for people: some rows on a terminal, all of them elsewhere.

Belongs here: layout, and how many rows a terminal shows. Does not: JSON and CSV (rows).
"""

from __future__ import annotations

import math
import shutil
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from itertools import chain, islice
from typing import TYPE_CHECKING

import click

from lake.base.printable import shown, shown_lines
from lake.cli.pager import show
from lake.cli.rows import as_text, spooled, write_whole

if TYPE_CHECKING:
    from rich.console import RenderableType
    from rich.text import Text

    from lake.query import Answer

_TERMINAL_LINES = 100  # a few screens
_COUNTING_SECONDS = 1  # of the rows that are not shown
_MEASURED_ROWS = 1000  # elsewhere: they decide how wide a column is
_FOLDED = 24  # a column's text is still read when it is folded to this width
_NUMBERS = ("INT", "DECIMAL", "DOUBLE", "FLOAT", "HUGEINT")
_GAP = "  "
_PLAN = ("explain_key", "explain_value")


def write_table(answer: Answer, wanted: int | None = None) -> None:
    """Columns side by side where they fit, else one line per field.

    A terminal shows `wanted` rows (0: all), by default as many as 100 lines hold, through a
    pager where they are more than a screen; a pipe or a file gets all rows. Of all rows none is
    folded. Standard error has the number of rows. A plan, of EXPLAIN, is a text of several lines.
    Raises LakeError where the query fails later.
    """
    if tuple(answer.columns) == _PLAN:
        write_whole(f"{shown_lines(str(plan))}\n" for _, plan in answer.rows)
    elif sys.stdout.isatty() and wanted != 0:
        _write_to_terminal(answer, wanted)
    else:
        _write_all(answer)


def _write_to_terminal(answer: Answer, wanted: int | None) -> None:
    from rich.console import Console  # noqa: PLC0415

    most = _TERMINAL_LINES if wanted is None else wanted
    rows = iter(answer.rows)
    taken = list(islice(rows, most + 1))
    cells = [[_cell(value) for value in row] for row in taken]
    console = Console(highlight=False)
    widths = [
        max(column.cell_len for column in columns)
        for columns in zip(*[map(_cell, answer.columns), *cells], strict=True)
    ]
    fits = sum(min(width, _FOLDED) + 2 for width in widths) <= console.width
    if wanted is None and not fits:
        most = max(1, _TERMINAL_LINES // (len(widths) + 1))
    shown = cells[:most]
    with console.capture() as captured:
        console.print((_side_by_side if fits else _records)(answer, shown))
    show(captured.get().splitlines(keepends=True), console.height - 1)
    if len(shown) == len(cells):
        click.echo(_counted(len(shown)), err=True)
        return
    number, all_counted = _count(rows, len(cells))
    total = f"{number:,}" if all_counted else f"more than {number:,}"
    click.echo(
        f"The first {len(shown):,} of {total} rows. --rows 0 shows all of them; --csv, --json, "
        "--parquet FILE or a pipe writes them.",
        err=True,
    )


def _count(rows: Iterator[tuple[object, ...]], taken: int) -> tuple[int, bool]:
    """The number of rows with those that follow, and whether these are all: within a second."""
    end = time.monotonic() + _COUNTING_SECONDS
    number = taken
    for _ in rows:
        number += 1
        if not number % 1000 and time.monotonic() > end:
            return number, False
    return number, True


def _write_all(answer: Answer) -> None:
    """Aligned to the widths of the first rows; a wider value later shifts its own line only."""
    written = 0

    def lines() -> Iterator[str]:
        nonlocal written
        rows = iter(answer.rows)  # a list would start over
        measured = [_texts(row) for row in islice(rows, _MEASURED_ROWS)]
        names = [_text(name) for name in answer.columns]
        widths = [max(map(_width, column)) for column in zip(names, *measured, strict=True)]
        right = [_is_number(kind) for kind in answer.types]
        yield _line(names, widths, right)
        for row in chain(measured, map(_texts, rows)):
            written += 1
            yield _line(row, widths, right)

    if sys.stdout.isatty():
        with spooled(lines()) as whole:
            show(whole, shutil.get_terminal_size().lines - 1)
    else:
        write_whole(lines())
    click.echo(_counted(written), err=True)


def _line(texts: Sequence[str], widths: Sequence[int], right: Sequence[bool]) -> str:
    fields = (
        " " * (width - _width(text)) + text if number else text + " " * (width - _width(text))
        for text, width, number in zip(texts, widths, right, strict=True)
    )
    return _GAP.join(fields).rstrip() + "\n"


def _width(text: str) -> int:
    """Columns of a terminal: a Korean syllable takes two."""
    from rich.cells import cell_len  # noqa: PLC0415

    return len(text) if text.isascii() else cell_len(text)


def _counted(rows: int) -> str:
    return f"{rows:,} row{'' if rows == 1 else 's'}"


def _is_number(kind: str) -> bool:
    return kind.endswith(_NUMBERS) or kind.startswith(_NUMBERS)


def _side_by_side(answer: Answer, cells: Sequence[Sequence[Text]]) -> RenderableType:
    from rich.table import Table  # noqa: PLC0415

    table = Table(box=None, pad_edge=False, header_style="bold")
    for name, kind in zip(answer.columns, answer.types, strict=True):
        table.add_column(
            _cell(name), justify="right" if _is_number(kind) else "left", overflow="fold"
        )
    for row in cells:
        table.add_row(*row)
    return table


def _records(answer: Answer, cells: Sequence[Sequence[Text]]) -> RenderableType:
    """One field per line, one heading per row."""
    from rich.console import Group  # noqa: PLC0415
    from rich.rule import Rule  # noqa: PLC0415
    from rich.table import Table  # noqa: PLC0415

    parts: list[RenderableType] = []
    for number, row in enumerate(cells, 1):
        fields = Table(box=None, pad_edge=False, show_header=False)
        fields.add_column(style="bold", no_wrap=True)
        fields.add_column(overflow="fold")
        for name, cell in zip(answer.columns, row, strict=True):
            fields.add_row(_cell(name), cell)
        parts += [Rule(f"row {number}", align="left"), fields]
    return Group(*parts)


def _cell(value: object) -> Text:
    from rich.text import Text  # noqa: PLC0415

    return Text(_text(value), style="dim italic" if value is None else "")


def _texts(row: Sequence[object]) -> list[str]:
    return [_text(value) for value in row]


def _text(value: object) -> str:
    """Control characters are shown as escapes: a log line must not steer the terminal."""
    if value is None:
        return "NULL"
    text = _rounded(value) if isinstance(value, float) else as_text(_inside_rounded(value))
    return shown(text)


def _rounded(value: float) -> str:
    """Four digits after the point are enough to read, or four in all of what is less than 0.1; the
    other forms have all of them.
    """
    if not abs(value) < 1e15:
        return as_text(value)
    if value and abs(value) < 0.1:
        return f"{value:.4g}"
    return f"{value:.4f}".rstrip("0").rstrip(".")


def _inside_rounded(value: object) -> object:
    """Floats inside lists, structs and maps, as those that stand alone."""
    match value:
        case Mapping():
            return {key: _inside_rounded(member) for key, member in value.items()}
        case list() | tuple():
            return [_inside_rounded(member) for member in value]
        case float() if math.isfinite(value):
            return float(_rounded(value))
    return value
