"""Headers of SQL files: comment lines `-- key: value` below a description.

    -- What the file's statement gives
    --
    -- key: value
    --
    -- Prose.

Belongs here: reading a header, errors with file and line. Does not: the keys' meanings.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable
from pathlib import Path
from typing import Any

from lake.base.causes import cause
from lake.base.errors import BadData
from lake.base.field_path import field_path

_KEY_LINE = re.compile(r"--\s*([a-z_]+):\s*(.*)")


class Header:
    """One file's; `sql` is all of the file, so that line numbers of a statement are the file's.

    `kind`, "trend" say, names the file in errors. Of the keys in `several` there may be many lines.
    """

    def __init__(
        self, path: Path, kind: str, keys: Collection[str], several: Collection[str]
    ) -> None:
        """Raises BadData where the file can't be read or has another key, or one without value."""
        self.path, self._kind = path, kind
        self.sql = self._read()
        lines = self.sql.splitlines() or [""]
        if not lines[0].startswith("-- "):
            raise self.wrong(1, f"a description: `-- What the {kind} shows`", lines[0])
        self.description = lines[0].removeprefix("-- ").strip()
        self.lines: dict[str, list[tuple[int, str]]] = {}
        for number, line in enumerate(lines[1:], 2):
            if not line.startswith("--"):
                break
            if (match := _KEY_LINE.fullmatch(line.rstrip())) and match[1] in keys:
                self._add(number, match[1], match[2].strip(), several)
        if other := _unknown_key(lines, keys):
            raise self.wrong(other[0], f"one of {', '.join(keys)}", other[1])

    def __contains__(self, key: str) -> bool:
        return key in self.lines

    def require(self, *keys: str) -> None:
        """Raises BadData where one is missing."""
        for key in keys:
            if key not in self.lines:
                raise self.wrong(1, f"a header with a line `-- {key}: …`", f"no {key}")

    def text(self, key: str) -> str | None:
        """The value of a key, None without one."""
        return self.lines[key][0][1] if key in self.lines else None

    def names(self, key: str) -> tuple[str, ...]:
        """The value of a key as names. Raises BadData where they are not different ones."""
        return self.listed(*self.lines[key][0]) if key in self.lines else ()

    def listed(self, line: int, text: str) -> tuple[str, ...]:
        """The names of a text. Raises BadData where they are not different ones."""
        names = tuple(name.strip() for name in text.split(","))
        if not all(names) or len(set(names)) < len(names):
            raise self.wrong(line, "different names, by comma", text)
        return names

    def field_path(self, line: int, text: str) -> tuple[str, ...]:
        """The names of a dotted path, `"a.b".c` among them. Raises BadData."""
        try:
            return field_path(text)
        except ValueError as error:
            expected = 'a path such as response.latencyMs or "a.b".c'
            raise self.wrong(line, expected, text) from error

    def wrong(self, line: int, expected: str, found: Any) -> BadData:
        """An error that names file and line."""
        return BadData(
            f"wrong header of a {self._kind}",
            where=f"{self.path}, line {line}",
            expected=expected,
            found=found,
            remedy="correct the file; docs/reference.md describes the header",
        )

    def _read(self) -> str:
        try:
            return self.path.read_text("utf-8-sig")
        except UnicodeDecodeError as error:
            raise self.wrong(1, "a text in UTF-8", error) from error
        except OSError as error:
            raise BadData(
                f"a {self._kind}'s file can't be read",
                where=self.path,
                found=cause(error),
                remedy="correct its permissions, or remove it",
            ) from error

    def _add(self, number: int, key: str, text: str, several: Collection[str]) -> None:
        if not text:
            raise self.wrong(number, f"a value of {key!r}", "none")
        if key in self.lines and key not in several:
            raise self.wrong(number, f"one line {key!r}", "a second one")
        self.lines.setdefault(key, []).append((number, text))


def _unknown_key(lines: Iterable[str], known: Collection[str]) -> tuple[int, str] | None:
    """Number (from 1) and key of the first line with another key, of paragraphs with a known one.

    Prose in a paragraph of its own may have colons.
    """
    paragraph: list[tuple[int, str]] = []
    for number, line in enumerate((*lines, ""), 1):
        text = line.rstrip()
        if text.startswith("--") and text.strip("-").strip():
            if match := _KEY_LINE.fullmatch(text):
                paragraph.append((number, match[1]))
            continue
        others = [entry for entry in paragraph if entry[1] not in known]
        if others and len(others) < len(paragraph):
            return others[0]
        paragraph = []
        if not text.startswith("--"):
            break
    return None
