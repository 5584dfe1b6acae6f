"""What a replayed partition gave its server.

Belongs here: counts and remarks. Does not: any system (its `replay`).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field


@dataclass
class Loaded:
    """What one partition gave the server.

    `rows` are the table's. A question to the server has to find at most `countable` and at
    least `at_least` of them; `groups` shares `countable` out (metric → samples), where the
    server can be asked by it.
    """

    rows: int
    countable: int
    at_least: int
    groups: Mapping[str, int] = field(default_factory=dict)


class Remarks:
    """What can't come back exactly, each said once and in the order in which it was met."""

    def __init__(self) -> None:
        self._found: dict[str, int] = {}

    def add(self, text: str, number: int = 0) -> None:
        """`{}` in the text stands for the sum of all numbers."""
        self._found[text] = self._found.get(text, 0) + number

    def texts(self) -> list[str]:
        """Each remark once, with its number."""
        return [text.replace("{}", f"{number:,}") for text, number in self._found.items()]
