"""Answers of SQL on standard output as JSON or CSV, and how each value is written.

Belongs here: values as text, complete answers. Does not: tables for people (tables), asking.
"""

from __future__ import annotations

import base64
import json
import math
import re
import shutil
import sys
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import UTC, date, datetime, time, timedelta
from decimal import Decimal
from itertools import chain
from tempfile import SpooledTemporaryFile, gettempdir
from typing import IO, TYPE_CHECKING

from lake.base.causes import cause
from lake.base.errors import PermanentError

if TYPE_CHECKING:
    from lake.query import Answer

_IN_MEMORY = 16 * 2**20  # bytes of an answer; a longer one waits on disk
_SPECIAL = re.compile(r'[",\r\n]|^\s|\s$')


def write_json(answer: Answer) -> None:
    """A list of objects, one per line. A column's name that comes again gets a number.

    Nothing is written where the answer breaks off. Raises LakeError.
    """
    write_whole(_json_pieces(answer))


def write_csv(answer: Answer) -> None:
    """RFC 4180 with a header, lines ended by LF. NULL is nothing, an empty text is `""`.

    Nothing is written where the answer breaks off. Raises LakeError.
    """
    write_whole(
        ",".join(map(_csv_field, row)) + "\n" for row in chain([answer.columns], answer.rows)
    )


def _json_pieces(answer: Answer) -> Iterator[str]:
    names = [_quoted(name) for name in distinct_names(answer.columns)]
    before = "["
    for row in answer.rows:
        fields = (f"{name}: {as_json(value)}" for name, value in zip(names, row, strict=True))
        yield f"{before}\n{{{', '.join(fields)}}}"
        before = ","
    yield "[]\n" if before == "[" else "\n]\n"


def write_whole(pieces: Iterable[str]) -> None:
    """Writes the pieces to standard output once the last one is there.

    A query may fail at its last row: half an answer must not look like one. Raises LakeError.
    """
    with spooled(pieces) as whole:
        shutil.copyfileobj(whole, sys.stdout)


@contextmanager
def spooled(pieces: Iterable[str]) -> Iterator[IO[str]]:
    """All pieces as a file to read: in memory, on disk where they are long. Raises LakeError."""
    with SpooledTemporaryFile(_IN_MEMORY, "w+", encoding="utf-8", newline="") as spool:
        try:
            for piece in pieces:
                spool.write(piece)
            spool.seek(0)
        except OSError as error:
            raise PermanentError(
                "the answer can't be buffered until it is complete",
                where=gettempdir(),
                found=cause(error),
                remedy="free some space there, or set TMPDIR to another directory",
            ) from error
        yield spool


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


def distinct_names(names: Sequence[str]) -> list[str]:
    """Each name once, one that comes again with a number: a, a, b → a, a_1, b."""
    distinct: dict[str, None] = {}
    for name in names:
        free = [name, *(f"{name}_{number}" for number in range(1, len(names)))]
        distinct[next(name for name in free if name not in distinct)] = None
    return list(distinct)
