"""The terminal of `lake shell`: prompt, keys, history, colours.

Belongs here: prompt_toolkit. Does not: which words are completed (shell_words), what an input does.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from prompt_toolkit import PromptSession
from prompt_toolkit.completion import CompleteEvent, Completer, Completion
from prompt_toolkit.document import Document
from prompt_toolkit.history import FileHistory, History, InMemoryHistory
from prompt_toolkit.key_binding import KeyBindings, KeyPressEvent
from prompt_toolkit.lexers import PygmentsLexer
from pygments.lexers.sql import SqlLexer

from lake.base.cache import cache_dir
from lake.base.errors import UsageError
from lake.cli.shell_words import Words
from lake.cli.sql_text import split

if TYPE_CHECKING:
    from lake.cli.shell import ShellSession

_HISTORY = "shell_history"
_PROMPT, _CONTINUED = "lake> ", "  ... "


@contextmanager
def prompts(session: ShellSession) -> Iterator[Iterator[str]]:
    """What is typed, one input at a time: whole statements, or a command. Ends with Ctrl-D."""
    prompt: PromptSession[str] = PromptSession(
        _PROMPT,
        multiline=True,
        prompt_continuation=_CONTINUED,
        completer=_Completer(Words(session)),
        complete_in_thread=True,  # manifests of a table may have to be read
        complete_while_typing=False,
        history=_history(),
        key_bindings=_keys(),
        lexer=PygmentsLexer(SqlLexer),
    )

    def texts() -> Iterator[str]:
        while True:
            try:
                text = prompt.prompt()
            except KeyboardInterrupt:
                continue  # the input is discarded
            except EOFError:
                return
            if text.strip():
                yield text.strip()

    yield texts()


class _Completer(Completer):
    def __init__(self, words: Words) -> None:
        self._words = words

    def get_completions(
        self, document: Document, complete_event: CompleteEvent
    ) -> Iterable[Completion]:
        del complete_event  # Tab alone asks for them
        typed, words = self._words.completions(
            document.text_before_cursor, document.text_after_cursor
        )
        for word in words:
            yield Completion(word, start_position=-len(typed))


def _keys() -> KeyBindings:
    keys = KeyBindings()

    @keys.add("enter")
    def _(event: KeyPressEvent) -> None:
        """Runs the input where it is complete, else begins a line."""
        buffer = event.current_buffer
        if is_complete(buffer.text):
            buffer.validate_and_handle()
        else:
            buffer.insert_text("\n")

    return keys


def is_complete(text: str) -> bool:
    """Whether Enter runs the input: a command, nothing, or statements that all end."""
    stripped = text.strip()
    return not stripped or stripped.startswith(".") or not split(stripped)[1]


def _history() -> History:
    """Of this user alone: statements may have personal data in them."""
    try:
        file = cache_dir() / _HISTORY
        file.parent.mkdir(parents=True, exist_ok=True)
        os.close(os.open(file, os.O_CREAT | os.O_WRONLY, 0o600))
        Path(file).chmod(0o600)
    except (OSError, UsageError):  # no home directory, or none that can be written
        return InMemoryHistory()
    return FileHistory(file)
