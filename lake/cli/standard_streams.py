"""Standard input, output and error, made safe to use for every command.

Belongs here: streams that are closed, full or of another encoding than UTF-8. Does not: what is
written to them.
"""

from __future__ import annotations

import codecs
import io
import os
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

from lake.base.causes import cause
from lake.base.errors import PermanentError, UsageError

if TYPE_CHECKING:
    from _typeshed import ReadableBuffer

_ESCAPES = "lake-escapes"


class ReaderGoneError(Exception):
    """The pipe is closed: `lake query … | head`. Click ends with status 1 for BrokenPipeError."""


def prepare() -> None:
    """A closed stream is the null device. Characters that standard output's encoding lacks are
    escaped as in JSON. Writing to it raises ReaderGoneError or PermanentError. Standard input that
    is not text of its encoding is an error, see `input_lines`.
    """
    null = Path(os.devnull)
    sys.stdin = sys.stdin or null.open(encoding="utf-8")
    sys.stdout = sys.stdout or null.open("w", encoding="utf-8")
    sys.stderr = sys.stderr or null.open("w", encoding="utf-8")
    if sys.stdin is sys.__stdin__ and isinstance(sys.stdin, io.TextIOWrapper):
        ascii_only = codecs.lookup(sys.stdin.encoding).name == "ascii"
        sys.stdin.reconfigure(encoding="utf-8" if ascii_only else None, errors="strict")
    # Not a caller's own.
    if sys.stdout is not sys.__stdout__ or not isinstance(sys.stdout, io.TextIOWrapper):
        return
    codecs.register_error(_ESCAPES, _escaped)
    is_utf8 = codecs.lookup(sys.stdout.encoding).name == "utf-8"
    sys.stdout.flush()
    sys.stdout = io.TextIOWrapper(
        io.BufferedWriter(_Output(sys.stdout.fileno(), "w", closefd=False)),
        encoding=sys.stdout.encoding,
        errors=sys.stdout.errors if is_utf8 else _ESCAPES,
        line_buffering=sys.stdout.line_buffering,
    )


def input_lines() -> Iterator[str]:
    """Standard input, line by line. Raises UsageError for what is not text."""
    try:
        yield from sys.stdin
    except UnicodeDecodeError as error:
        raise UsageError(
            "standard input is not text in its encoding",
            expected=f"text in {error.encoding}",
            found=error,
            remedy="convert it, such as by `iconv -f LATIN1 -t UTF-8`",
        ) from error


def refuse_unreadable_arguments() -> None:
    """Raises UsageError: SQL, and the names of files that DuckDB reads, are UTF-8."""
    for number, argument in enumerate(sys.argv[1:], 1):
        try:
            argument.encode()
        except UnicodeEncodeError as error:
            shown = argument.encode("ascii", "backslashreplace").decode()
            raise UsageError(
                "an argument is not text in UTF-8",
                where=f"argument {number}",
                found=shown,
                remedy="write it in UTF-8; if it is in UTF-8, unset PYTHONUTF8, or set it to 1",
            ) from error


class _Output(io.FileIO):
    _failed = False

    def write(self, data: ReadableBuffer, /) -> int:
        if self._failed:  # the rest, at the end of the process
            return memoryview(data).nbytes
        try:
            return super().write(data)
        except BrokenPipeError as error:
            self._failed = True
            raise ReaderGoneError from error
        except OSError as error:
            self._failed = True
            raise PermanentError("standard output can't be written", found=cause(error)) from error


def _escaped(error: UnicodeError) -> tuple[str, int]:
    if not isinstance(error, UnicodeEncodeError):
        raise error
    units = error.object[error.start : error.end].encode("utf-16-be", "surrogatepass").hex()
    return "".join(f"\\u{units[at : at + 4]}" for at in range(0, len(units), 4)), error.end
