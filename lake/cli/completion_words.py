"""How bash, zsh and fish pass words to be completed, and take the offered ones.

Belongs here: what click's classes for these shells do otherwise. Does not: which words there are
(completing), the scripts of the shells (completion).
"""

from __future__ import annotations

import os
import re
from typing import Any

from click.shell_completion import (
    BashComplete,
    CompletionItem,
    FishComplete,
    ZshComplete,
    add_completion_class,
)

_READ_OTHERWISE = re.compile(r"""([\s"'`\\$&|;<>()*?\[\]{}!#~])""")
_QUOTES = ("'", '"')


@add_completion_class
class Bash(BashComplete):
    """Bash splits words at `=`, and inserts what it is offered as it is."""

    def get_completion_args(self) -> tuple[list[str], str]:
        """`--day=2026` arrives as `--day`, `=` and `2026`."""
        args, incomplete = super().get_completion_args()
        before = ["", *args]
        kept = [
            word for word, last in zip(args, before, strict=False)
            if not (word == "=" and last.startswith("--"))
        ]  # fmt: skip
        return kept, incomplete

    def format_completion(self, item: CompletionItem[Any]) -> str:
        """Outside quotes with escapes. The script's `read` removes one backslash of each pair."""
        words = os.environ["COMP_WORDS"].split("\n")
        number = int(os.environ["COMP_CWORD"])
        value = str(item.value)
        if not (words[number:] and words[number].startswith(_QUOTES)):
            value = _READ_OTHERWISE.sub(r"\\\1", value)
        return f"{item.type},{value}".replace("\\", "\\\\")


@add_completion_class
class Zsh(ZshComplete):
    """Zsh replaces the whole word: of `--day=2026` the option, too."""

    def get_completions(self, args: list[str], incomplete: str) -> list[CompletionItem[str]]:
        """With the option where the incomplete word has it."""
        return _with_option(super().get_completions(args, incomplete), incomplete)


@add_completion_class
class Fish(FishComplete):
    """Fish drops what does not begin as the whole word does."""

    def get_completions(self, args: list[str], incomplete: str) -> list[CompletionItem[str]]:
        """With the option where the incomplete word has it."""
        return _with_option(super().get_completions(args, incomplete), incomplete)


def _with_option(items: list[CompletionItem[str]], incomplete: str) -> list[CompletionItem[str]]:
    option, equals, _ = incomplete.partition("=")
    if equals and option.startswith("--"):
        for item in items:
            if item.type == "plain":
                item.value = f"{option}={item.value}"
    return items
