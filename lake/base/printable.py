"""Texts of other programs and people on a terminal.

Belongs here: characters that steer it. Does not: layout (lake.cli.tables).
"""

from __future__ import annotations

import re

# With those that end lines or turn the direction of what follows.
_STEERING = re.compile(r"[\x00-\x1f\x7f-\x9f\u200e\u200f\u2028-\u202e\u2066-\u2069]")


def shown(text: str) -> str:
    """Characters that steer a terminal, or that end or turn a line, as escapes."""
    return _STEERING.sub(lambda sign: repr(sign[0])[1:-1], text)


def shown_lines(text: str) -> str:
    """The same, but for the ends of lines."""
    return "\n".join(map(shown, text.split("\n")))
