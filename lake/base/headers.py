"""Headers of SQL files: comment lines `-- key: value` between two empty comments.

Belongs here: which line has a key that is none. Does not: the keys' meanings.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable

KEY_LINE = re.compile(r"--\s*([a-z_]+):\s*(.*)")


def unknown_key(lines: Iterable[str], known: Collection[str]) -> tuple[int, str] | None:
    """Number (from 1) and key of the first line with another key, of paragraphs with a known one.

    Prose in a paragraph of its own may have colons.
    """
    paragraph: list[tuple[int, str]] = []
    for number, line in enumerate((*lines, ""), 1):
        text = line.rstrip()
        if text.startswith("--") and text.strip("-").strip():
            if match := KEY_LINE.fullmatch(text):
                paragraph.append((number, match[1]))
            continue
        others = [found for found in paragraph if found[1] not in known]
        if others and len(others) < len(paragraph):
            return others[0]
        paragraph = []
        if not text.startswith("--"):
            break
    return None
