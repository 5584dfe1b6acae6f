"""Answers of SQL on standard output: as JSON, as CSV, as a table for people.

Belongs here: how each value is written. Does not: asking.
"""

from __future__ import annotations

import base64
import json
import math
import re
import shutil
import sys
from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import UTC, date, datetime, time, timedelta
from decimal import Decimal
from itertools import chain, islice
from tempfile import SpooledTemporaryFile, gettempdir
from typing import TYPE_CHECKING

import click

from lake.base.errors import PermanentError

if TYPE_CHECKING:
    from rich.console import RenderableType
    from rich.text import Text

    from lake.query import Answer

_SHOWN_ROWS = 1000
_IN_MEMORY = 16 * 2**20  # bytes of an answer; a longer one waits on disk
_FOLDED = 24  # a column's text is still read when it is folded to this width
_NUMBERS = ("INT", "DECIMAL", "DOUBLE", "FLOAT", "HUGEINT")
_SPECIAL = re.compile(r'[",\r\n]|^\s|\s$')
_CONTROL = re.compile(r"[\x00-\x1f\x7f-\x9f]")


def write_json(answer: Answer) -> None:
    """A list of objects, one a line. A column's name that comes again gets a number.

    Nothing is written where the answer breaks off. Raises LakeError.
    """
    _write_whole(_json_pieces(answer))


def write_csv(answer: Answer) -> None:
    """RFC 4180 with a header, lines ended by LF. NULL is nothing, an empty text is `""`.

    Nothing is written where the answer breaks off. Raises LakeError.
    """
    _write_whole(
        ",".join(map(_csv_field, row)) + "\n" for row in chain([answer.columns], answer.rows)
    )


def _json_pieces(answer: Answer) -> Iterator[str]:
    names = [_quoted(name) for name in _distinct(answer.columns)]
    before = "["
    for row in answer.rows:
        fields = (f"{name}: {as_json(value)}" for name, value in zip(names, row, strict=True))
        yield f"{before}\n{{{', '.join(fields)}}}"
        before = ","
    yield "[]\n" if before == "[" else "\n]\n"


def _write_whole(pieces: Iterable[str]) -> None:
    """A query may fail at its last row: half an answer must not look like one."""
    with SpooledTemporaryFile(_IN_MEMORY, "w+", encoding="utf-8", newline="") as spool:
        try:
            for piece in pieces:
                spool.write(piece)
            spool.seek(0)
        except OSError as error:
            raise PermanentError(
                "the answer can't be kept until it is complete",
                where=gettempdir(),
                found=error,
                remedy="make room there, or set TMPDIR to another directory",
            ) from error
        shutil.copyfileobj(spool, sys.stdout)


def write_table(answer: Answer) -> None:
    """For people: columns side by side where they fit, else a line a field; 1,000 rows at most."""
    from rich.console import Console  # noqa: PLC0415

    taken = list(islice(answer.rows, _SHOWN_ROWS + 1))
    cells = [[_cell(value) for value in row] for row in taken[:_SHOWN_ROWS]]
    console = Console(highlight=False)
    widths = [
        max(column.cell_len for column in columns)
        for columns in zip(*[map(_cell, answer.columns), *cells], strict=True)
    ]
    if not console.is_terminal:
        console.width = sum(widths) + 3 * len(widths)  # for grep and less -S: nothing is folded
    fits = sum(min(width, _FOLDED) + 2 for width in widths) <= console.width
    console.print((_side_by_side if fits else _records)(answer, cells))
    more = "more than " if len(taken) > _SHOWN_ROWS else ""
    click.echo(f"{more}{len(cells):,} row{'' if len(cells) == 1 else 's'}", err=True)
    if more:
        click.echo("--csv and --json write all of them", err=True)


def _side_by_side(answer: Answer, cells: Sequence[Sequence[Text]]) -> RenderableType:
    from rich.table import Table  # noqa: PLC0415

    table = Table(box=None, pad_edge=False, header_style="bold")
    for name, kind in zip(answer.columns, answer.types, strict=True):
        number = kind.endswith(_NUMBERS) or kind.startswith(_NUMBERS)
        table.add_column(_cell(name), justify="right" if number else "left", overflow="fold")
    for row in cells:
        table.add_row(*row)
    return table


def _records(answer: Answer, cells: Sequence[Sequence[Text]]) -> RenderableType:
    """One field a line, a heading a row."""
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
    """Control characters are shown as escapes: a log line must not steer the terminal."""
    from rich.text import Text  # noqa: PLC0415

    if value is None:
        return Text("NULL", style="dim italic")
    text = _rounded(value) if isinstance(value, float) else as_text(value)
    return Text(_CONTROL.sub(lambda sign: repr(sign[0])[1:-1], text))


def _rounded(value: float) -> str:
    """Four digits after the point are enough to read; the other forms have all of them."""
    if not 1e-3 <= abs(value) < 1e15:
        return as_text(value)
    return f"{value:.4f}".rstrip("0").rstrip(".")


def as_json(value: object) -> str:
    """The value as JSON: all digits, times in ISO 8601 (UTC with Z), bytes as base64.

    NaN and the infinities are strings, for JSON has no such numbers.
    """
    match value:
        case None:
            return "null"
        case bool():
            return "true" if value else "false"
        case int():
            return str(value)
        case float() if math.isfinite(value):
            return repr(value)
        case Decimal():
            return f"{value:f}"
        case Mapping():
            fields = (f"{_quoted(as_text(k))}: {as_json(v)}" for k, v in value.items())
            return f"{{{', '.join(fields)}}}"
        case list() | tuple():
            return f"[{', '.join(map(as_json, value))}]"
    return _quoted(as_text(value))


def as_text(value: object) -> str:
    """The value in a cell: as in JSON, but a text stands as it is."""
    match value:
        case str():
            return value
        case datetime() if value.tzinfo:
            return value.astimezone(UTC).isoformat().replace("+00:00", "Z")
        case date() | time():
            return value.isoformat()
        case timedelta():
            return str(value)
        case bytes() | bytearray() | memoryview():
            return base64.b64encode(value).decode("ascii")
        case float() if not math.isfinite(value):
            return {math.inf: "Infinity", -math.inf: "-Infinity"}.get(value, "NaN")
        case None | int() | float() | Decimal() | Mapping() | list() | tuple():
            return as_json(value)
    return str(value)


def _csv_field(value: object) -> str:
    if value is None:
        return ""
    text = as_text(value)
    return '"' + text.replace('"', '""') + '"' if not text or _SPECIAL.search(text) else text


def _quoted(text: str) -> str:
    return json.dumps(text, ensure_ascii=False)


def _distinct(names: Sequence[str]) -> list[str]:
    """a, a, b → a, a_1, b."""
    distinct: dict[str, None] = {}
    for name in names:
        free = [name, *(f"{name}_{number}" for number in range(1, len(names)))]
        distinct[next(one for one in free if one not in distinct)] = None
    return list(distinct)
