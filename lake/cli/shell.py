"""`lake shell`.

Belongs here: its options, statements from a pipe, what one input does. Does not: the terminal
(shell_prompt), the commands with a dot (shell_commands).
"""

from __future__ import annotations

import signal
import sys
from collections.abc import Iterator
from typing import TYPE_CHECKING

import click

from lake.base.errors import LakeError
from lake.base.printable import shown
from lake.cli.forms import rows_option
from lake.cli.options import config_option
from lake.cli.sql_text import split
from lake.cli.standard_streams import input_lines

if TYPE_CHECKING:
    from lake.query import Lake

_INTERRUPTED = "Query interrupted"  # DuckDB's RuntimeError after SIGINT
_READING = ("SELECT", "EXPLAIN")


@click.command()
@rows_option
@config_option
def shell(rows: int | None, config: str | None) -> int:
    """Opens an interactive SQL shell on the lake.

    Every dataset is a table, as in lake query. A statement ends with a semicolon and may have
    several lines. Tab completes keywords, tables, columns, functions and commands; the history
    is kept between sessions. Ctrl-C cancels a query, Ctrl-D ends the shell. Notes on missing
    days follow each answer. CREATE TABLE, INSERT and SET write to the session's memory only.

    \b
    .tables                   tables with their days and rows
    .describe TABLE [OPTION]  columns, as lake describe
    .trend [NAME] [OPTION]    a trend, as lake trend
    .can SQL                  whether the lake can answer, as lake can
    .rows N                   number of rows to show, 0 for all
    .refresh                  picks up newly exported days
    .help, .quit

    From a pipe, statements run one after the other; the first error ends the shell.

    \b
    Example:  lake shell --rows 20
    """
    from lake.query import connect  # noqa: PLC0415

    # Ctrl-C is for the query, not for the process.
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    try:
        with connect(config) as lake:
            session = ShellSession(lake, config, rows)
            return _interactive(session) if sys.stdin.isatty() else _piped(session)
    finally:
        signal.signal(signal.SIGINT, before)


class ShellEnded(Exception):
    """`.quit`."""


class ShellSession:
    """What inputs of one shell have in common. `rows` as for `lake query --rows`."""

    def __init__(self, lake: Lake, config: str | None, rows: int | None) -> None:
        self.lake = lake
        self.config = config
        self.rows = rows

    def run(self, statement: str) -> None:
        """One statement, or one command with a dot.

        Raises LakeError, ShellEnded and KeyboardInterrupt.
        """
        if statement.startswith("."):
            from lake.cli.shell_commands import run_command  # noqa: PLC0415

            run_command(self, statement)
            return
        try:
            self._query(statement)
        except KeyboardInterrupt:
            self._cancel()
            raise
        except RuntimeError as error:
            if _INTERRUPTED not in str(error):
                raise
            self._cancel()
            raise KeyboardInterrupt from error

    def _cancel(self) -> None:
        """DuckDB's threads compute on after SIGINT, and a close would wait for them."""
        self.lake.connection.interrupt()

    def _query(self, statement: str) -> None:
        from lake.cli.tables import write_table  # noqa: PLC0415
        from lake.query import inexact  # noqa: PLC0415
        from lake.query.estimate import large_read_note  # noqa: PLC0415

        if not self._reads(statement):
            self.lake.sql(statement)
            return
        if note := large_read_note(self.lake, statement):
            click.echo(note, err=True)
        answer = self.lake.ask(statement, as_text=inexact.TYPES)
        write_table(answer, self.rows)
        for note in answer.notes:
            click.echo(shown(note), err=True)

    def _reads(self, statement: str) -> bool:
        """Whether there is an answer to show; wrong SQL is the query's to report."""
        from lake.query.statements import kinds_of  # noqa: PLC0415

        kinds = kinds_of(self.lake.connection, statement)
        return not kinds or any(kind in _READING for kind in kinds)


def _interactive(session: ShellSession) -> int:
    from lake.cli.shell_prompt import prompts  # noqa: PLC0415

    click.echo("DuckDB SQL on the lake; .help lists the commands, .tables the tables.", err=True)
    with prompts(session) as texts:
        for text in texts:
            try:
                for statement in _statements(text):
                    session.run(statement)
            except ShellEnded:
                break
            except LakeError as error:
                click.echo(f"lake: {error}", err=True)
            except KeyboardInterrupt:
                click.echo("interrupted", err=True)
    return 0


def _piped(session: ShellSession) -> int:
    pending = ""
    for line in input_lines():
        if not pending and line.startswith("."):
            statements = [line.strip()]
        else:
            statements, pending = split(pending + line)
            pending += "\n" if pending else ""
        try:
            for statement in statements:
                session.run(statement)
        except ShellEnded:
            return 0
    if pending:
        session.run(pending)
    return 0


def _statements(text: str) -> Iterator[str]:
    if text.startswith("."):
        yield text.strip()
        return
    statements, rest = split(text)
    yield from statements
    if rest:
        yield rest
