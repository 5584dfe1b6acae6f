"""Paths of fields as text: names joined by dots, quoted where a name has a dot or a quote.

Belongs here: from the text to the names. Does not: which paths there are.
"""

from __future__ import annotations

import re

_NAME = re.compile(r'"((?:[^"]|"")+)"|([^."]+)')


def field_path(text: str) -> tuple[str, ...]:
    """The names of a dotted path, `"a.b".c` among them. Raises ValueError."""
    names, at = [], 0
    while match := _NAME.match(text, at):
        names.append(match[1].replace('""', '"') if match[1] else match[2].strip())
        at = match.end()
        if at == len(text):
            if "" in names or any("\0" in name for name in names):
                break
            return tuple(names)
        if text[at] != ".":
            break
        at += 1
    raise ValueError(f'{text!r} is not a path such as user.email or "a.b".c')
