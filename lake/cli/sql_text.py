"""SQL as it is typed: where statements end.

Belongs here: quotes, comments and semicolons. Does not: what a statement means (lake.query).
"""

from __future__ import annotations

import re

# What may contain a semicolon, and the semicolon itself. What has no end ends with the text.
_PARTS = re.compile(
    r"""
    '(?:[^']|'')*(?:'|\Z) | "(?:[^"]|"")*(?:"|\Z) | (\$\w*\$).*?(?:\1|\Z)
    | --[^\n]*(?:\n|\Z) | /\*.*?(?:\*/|\Z) | (;)
    """,
    re.VERBOSE | re.DOTALL,
)
_NOTHING = re.compile(r"(?:\s|--[^\n]*(?:\n|\Z)|/\*.*?\*/)*", re.DOTALL)


def split(text: str) -> tuple[list[str], str]:
    """The statements that a semicolon ends, without it, and what follows the last one.

    Semicolons in quotes and comments end nothing; what is empty is left out.
    """
    statements, start = [], 0
    for part in _PARTS.finditer(text):
        if part[2]:
            statements.append(text[start : part.start()].strip())
            start = part.end()
    rest = text[start:].strip()
    return [s for s in statements if not is_empty(s)], "" if is_empty(rest) else rest


def is_empty(text: str) -> bool:
    """Whether there is nothing but space and comments."""
    return _NOTHING.fullmatch(text) is not None
