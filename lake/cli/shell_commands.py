"""The commands of `lake shell` that begin with a dot.

Belongs here: their names and what each does. Does not: statements (shell), words (shell_words).
"""

from __future__ import annotations

import shlex
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

import click

from lake.base.errors import UsageError
from lake.cli.shell import ShellEnded

if TYPE_CHECKING:
    from lake.cli.shell import ShellSession


def run_command(session: ShellSession, text: str) -> None:
    """Raises LakeError, ShellEnded."""
    name, _, rest = text.removesuffix(";").strip().partition(" ")
    command = COMMANDS.get(name)
    if command is None:
        raise UsageError(f"no such command: {name}", expected="one of " + ", ".join(COMMANDS))
    command(session, rest.strip())


def _help(_session: ShellSession, _rest: str) -> None:
    from lake.cli.shell import shell  # noqa: PLC0415

    text = click.Context(shell).command.help or ""
    click.echo(text.partition("\b\n")[2].partition("\n\n")[0])


def _tables(session: ShellSession, _rest: str) -> None:
    from lake.cli.tables import write_table  # noqa: PLC0415
    from lake.query import Answer  # noqa: PLC0415

    rows = []
    for table in session.lake.tables():
        days = table.manifests
        span = (str(min(days)), str(max(days))) if days else (None, None)
        rows.append((table.dataset, len(days), *span, sum(m.rows for m in days.values())))
    kinds = ("VARCHAR", "BIGINT", "VARCHAR", "VARCHAR", "BIGINT")
    write_table(Answer(("table", "days", "first", "last", "rows"), kinds, rows), 0)


def _describe(session: ShellSession, rest: str) -> None:
    from lake.cli.describe import describe  # noqa: PLC0415

    _run(session, describe, rest)


def _trend(session: ShellSession, rest: str) -> None:
    from lake.cli.trend import trend  # noqa: PLC0415

    _run(session, trend, rest)


def _can(session: ShellSession, rest: str) -> None:
    from lake.cli.can import can  # noqa: PLC0415

    _call(session, can, ["--", rest.removesuffix(";")] if rest else [])


def _rows(session: ShellSession, rest: str) -> None:
    if not rest.isdecimal():
        raise UsageError("not a number of rows", expected=".rows N, 0 for all", found=repr(rest))
    session.rows = int(rest)


def _refresh(session: ShellSession, _rest: str) -> None:
    """A new session: tables in the memory of the one before are gone."""
    from lake.query import connect  # noqa: PLC0415

    session.lake.close()
    session.lake = connect(session.lake.settings)


def _quit(_session: ShellSession, _rest: str) -> None:
    raise ShellEnded


COMMANDS: dict[str, Callable[[ShellSession, str], None]] = {
    ".tables": _tables,
    ".describe": _describe,
    ".trend": _trend,
    ".can": _can,
    ".rows": _rows,
    ".refresh": _refresh,
    ".help": _help,
    ".quit": _quit,
    ".exit": _quit,
}


def _run(session: ShellSession, command: click.Command, rest: str) -> None:
    try:
        words = shlex.split(rest)
    except ValueError as error:
        raise UsageError("the command can't be read", found=error) from error
    _call(session, command, words)


def _call(session: ShellSession, command: click.Command, words: Sequence[str]) -> None:
    """As the shell's own command, with its configuration."""
    config = ["--config", session.config] if session.config else []
    try:
        command.main([*config, *words], f".{command.name}", standalone_mode=False)
    except click.ClickException as error:
        error.show()
