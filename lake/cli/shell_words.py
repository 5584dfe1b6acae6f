"""What Tab completes in `lake shell`.

Belongs here: which words fit at a place of the text. Does not: the terminal (shell_prompt).
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from functools import cached_property
from typing import TYPE_CHECKING

from lake.base.errors import LakeError
from lake.cli.shell_commands import COMMANDS
from lake.query.failures import spelled
from lake.query.kinds import folded

if TYPE_CHECKING:
    from lake.cli.shell import ShellSession
    from lake.query.merged import Node

_WORD = re.compile(r'[\w."]*$')
_PLAIN = re.compile(r"[a-z_][a-z0-9_]*")
_ARGUMENT = re.compile(r"(\.\w+)\s+(?:.*\s)?(\S*)$", re.DOTALL)


class Words:
    """The words of one session. Columns are those of tables that the text mentions."""

    def __init__(self, session: ShellSession) -> None:
        self._session = session

    def completions(self, text: str, after: str = "") -> tuple[str, list[str]]:
        """The word before the cursor, and what may stand in its place; `after` the cursor."""
        if text.startswith("."):
            return self._of_command(text)
        word = _WORD.search(text)
        typed = word[0] if word else ""
        groups = self._words(typed, text + after)
        words = [word for group in groups for word in sorted(_matching(group, typed))]
        return typed, list(dict.fromkeys(words))

    def _of_command(self, text: str) -> tuple[str, list[str]]:
        argument = _ARGUMENT.match(text)
        if argument is None:
            return text, sorted(_matching(COMMANDS, text))
        words: Iterable[str] = ()
        if argument[1] == ".describe":
            words = self._session.lake.datasets
        elif argument[1] == ".trend":
            words = self._trends
        return argument[2], sorted(_matching(words, argument[2]))

    def _words(self, typed: str, text: str) -> Iterator[Iterable[str]]:
        """The likelier ones first."""
        path, dot, _ = typed.rpartition(".")
        if dot:
            yield [f"{path}.{name}" for name in self._members(path.split("."), text)]
            return
        nodes = [node for names in self._columns(text).values() for node in names.values()]
        yield [spelled(node.name) for node in nodes]
        yield map(spelled, self._session.lake.table_names)
        yield self._functions
        yield self._keywords

    def _members(self, path: list[str], text: str) -> list[str]:
        """Columns of a table, or members of a STRUCT by its path."""
        columns = self._columns(text)
        first, *rest = [folded(name.strip('"')) for name in path]
        starts = [columns[first]] if first in columns else list(columns.values())
        steps = rest if first in columns else [first, *rest]
        for names in starts:
            members = names
            for step in steps:
                members = members[step].members if step in members else {}
            if members:
                return [spelled(node.name) for node in members.values()]
        return []

    def _columns(self, text: str) -> dict[str, dict[str, Node]]:
        """Of each table that the text mentions."""
        lake = self._session.lake
        try:
            return {name: lake.table(name).tree.members for name in lake.mentioned(text)}
        except LakeError:
            return {}  # the query itself reports what can't be read

    @cached_property
    def _trends(self) -> list[str]:
        from lake.trends import all_trends  # noqa: PLC0415

        try:
            return [trend.name for trend in all_trends(self._session.lake.settings)]
        except LakeError:
            return []  # `.trend` reports the wrong file

    @cached_property
    def _functions(self) -> list[str]:
        return self._listed("SELECT DISTINCT function_name FROM duckdb_functions()")

    @cached_property
    def _keywords(self) -> list[str]:
        return self._listed("SELECT upper(keyword_name) FROM duckdb_keywords()")

    def _listed(self, sql: str) -> list[str]:
        rows = self._session.lake.connection.cursor().execute(sql).fetchall()
        return [name for (name,) in rows if _PLAIN.fullmatch(name.lower())]


def _matching(words: Iterable[str], typed: str) -> set[str]:
    """Those that begin as what is typed, in either case; quotes need not be typed."""
    start, quoted = typed.lower(), '"' in typed
    return {
        word
        for word in words
        if (word if quoted else word.replace('"', "")).lower().startswith(start)
    }
