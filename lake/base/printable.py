"""Texts of other programs and people on a terminal.

Belongs here: characters that can't be seen or that steer it. Does not: layout (lake.cli.tables).
"""

from __future__ import annotations


def shown(text: str) -> str:
    """Characters that can't be seen or that change the terminal as escapes."""
    return "".join(
        sign if sign.isprintable() else sign.encode("unicode_escape").decode() for sign in text
    )


def shown_lines(text: str) -> str:
    """The same, but for the ends of lines."""
    return "\n".join(map(shown, text.split("\n")))
