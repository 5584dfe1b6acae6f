"""GitHub's Markdown as Python-Markdown reads it.

Belongs here: blank lines around blocks, and the indentation of what belongs to a list's item, which
is four columns a level. Does not: links, pages.
"""

from __future__ import annotations

import re

_ITEM = re.compile(r"(?P<indent> *)(?P<marker>[-*+]|\d+\.) +(?=\S)")
_HEADING = re.compile(r"#{1,6} ")
_FENCE = re.compile(r" *(?P<fence>`{3,})")


def for_python_markdown(text: str) -> str:
    """The same document, with blank lines before lists, fences, tables and headings."""
    lines: list[str] = []
    offsets: list[int] = []  # the column at which each open item's text begins
    fence = ""
    for line in text.splitlines():
        stripped = line.strip()
        if fence:
            lines.append(_moved(line, offsets))
            if stripped == fence:
                fence = ""
                lines.append("")
            continue
        item = _ITEM.match(line)
        opens = _FENCE.match(line)
        blank_before = not lines or not lines[-1].strip()
        indent = len(line) - len(line.lstrip())
        if stripped and (item or blank_before or opens):
            while offsets and indent < offsets[-1]:
                offsets.pop()
        if item:
            if not offsets and not blank_before and not _ITEM.match(lines[-1]) and not _open(lines):
                lines.append("")
            moved = "    " * len(offsets) + item["marker"] + " " + line[item.end() :]
            lines.append(moved)
            offsets.append(item.end())
            continue
        begins = opens or _HEADING.match(line)
        begins = begins or (stripped.startswith("|") and not _begins_row(lines))
        if begins and not blank_before:
            lines.append("")
        if opens:
            fence = opens["fence"]
        lines.append(_moved(line, offsets))
    return "\n".join(lines) + "\n"


def _begins_row(lines: list[str]) -> bool:
    return bool(lines) and lines[-1].lstrip().startswith("|")


def _open(lines: list[str]) -> bool:
    """Whether the paragraph that ends here is an item's."""
    for line in reversed(lines):
        if not line.strip():
            return False
        if _ITEM.match(line):
            return True
    return False


def _moved(line: str, offsets: list[int]) -> str:
    """The line at its item's indentation in Python-Markdown."""
    if not offsets or not line.strip():
        return line
    cut = min(offsets[-1], len(line) - len(line.lstrip()))
    return "    " * len(offsets) + line[cut:]
