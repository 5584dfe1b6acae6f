"""Answers of `lake query` as a file: Parquet, Arrow or Excel.

Belongs here: which file, writing it whole or not at all. Does not: the formats (arrow_files,
excel), text formats (rows).
"""

from __future__ import annotations

import os
import shutil
import sys
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from tempfile import TemporaryFile, gettempdir
from typing import IO, TYPE_CHECKING, Any

from lake.base.causes import cause
from lake.base.errors import PermanentError, UsageError
from lake.cli.writing import require_writable
from lake.process.scratch import replaced_at_once

if TYPE_CHECKING:
    from lake.query import Answer, ArrowAnswer, Lake

STANDARD_OUTPUT = "-"
Write = Callable[[IO[bytes]], int]
"""Writes all rows to a file that can seek, and returns their number."""


@dataclass(frozen=True)
class AnswerFile:
    """Where an answer goes, and in which format: an option's name without dashes."""

    format: str
    target: str

    @property
    def to_standard_output(self) -> bool:
        """Whether `-` is the target."""
        return self.target == STANDARD_OUTPUT

    @property
    def shown(self) -> str:
        """For messages."""
        return "standard output" if self.to_standard_output else self.target

    def require_writable(self, *, force: bool) -> None:
        """Raises UsageError before a query runs in vain."""
        if self.to_standard_output:
            if sys.stdout.isatty():
                raise UsageError(
                    f"--{self.format} - writes binary data, and standard output is a terminal",
                    remedy=f"redirect it, or name a file: --{self.format} FILE",
                )
            return
        remedy = "name another file, or - for standard output"
        require_writable(Path(self.target), force=force, remedy=remedy)

    def ask(self, lake: Lake, sql: str) -> Answer | ArrowAnswer:
        """Runs the query; the answer is in the form that `write` takes. Raises LakeError."""
        if self.format == "xlsx":
            from lake.query.inexact import INTERVAL  # noqa: PLC0415

            return lake.ask(sql, as_text=(INTERVAL,))
        return lake.ask_arrow(sql)

    def write(self, answer: Answer | ArrowAnswer) -> int:
        """Writes all rows and returns their number. The file appears when it is complete.

        Raises LakeError.
        """
        write = partial(_writer(self.format), answer)
        if self.to_standard_output:
            return _to_standard_output(write)
        path = Path(self.target)
        try:
            return _replace(path, write)
        except OSError as error:
            raise PermanentError(
                "the file can't be written",
                where=path.absolute(),
                found=cause(error),
                remedy="free some space there, or write it to another directory",
            ) from error


def _writer(name: str) -> Callable[[Any, IO[bytes]], int]:
    """The format's module is imported where it is used."""
    if name == "xlsx":
        from lake.cli.excel import write_xlsx  # noqa: PLC0415

        return write_xlsx
    from lake.cli import arrow_files  # noqa: PLC0415

    return arrow_files.write_arrow if name == "arrow" else arrow_files.write_parquet


def _replace(path: Path, write: Write) -> int:
    with replaced_at_once(path) as part, part.open("w+b") as file:
        return write(file)


def _to_standard_output(write: Write) -> int:
    try:
        spool, rows = _spooled(write)
    except OSError as error:
        raise PermanentError(
            "the answer can't be buffered until it is complete",
            where=os.environ.get("TMPDIR") or gettempdir(),
            found=cause(error),
            remedy="free some space there, or set TMPDIR to another directory",
        ) from error
    with spool:
        spool.seek(0)
        shutil.copyfileobj(spool, sys.stdout.buffer)
    sys.stdout.flush()
    return rows


def _spooled(write: Write) -> tuple[IO[bytes], int]:
    """A file without a name that has the whole answer, and the number of rows."""
    spool = TemporaryFile(prefix="lake-")  # noqa: SIM115  the caller closes it
    try:
        rows = write(spool)
        spool.flush()
    except BaseException:
        with suppress(OSError):  # of what is still in its buffer
            spool.close()
        raise
    return spool, rows
