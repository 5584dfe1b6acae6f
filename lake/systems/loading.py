"""What a replay loads into a server, and what the server then holds.

Belongs here: the target, counts, remarks. Does not: any system (its `replay`).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from lake.config.settings import Settings
    from lake.servers import Binary
    from lake.store import Store
    from lake.systems.partitions import Partition


@dataclass
class Loaded:
    """What one partition gave the server.

    `rows` are the table's. A question to the server has to find at most `countable` and at
    least `at_least` of them; `groups` shares `countable` out (metric → samples), where the
    server can be queried by it.
    """

    rows: int
    countable: int
    at_least: int
    groups: Mapping[str, int] = field(default_factory=dict)


class Remarks:
    """What can't come back exactly, each reported once, in the order of its appearance."""

    def __init__(self) -> None:
        self._counts: dict[str, int] = {}

    def add(self, text: str, number: int = 0) -> None:
        """`{}` in the text stands for the sum of all numbers."""
        self._counts[text] = self._counts.get(text, 0) + number

    def texts(self) -> list[str]:
        """Each remark once, with its number."""
        return [text.replace("{}", f"{number:,}") for text, number in self._counts.items()]


@dataclass(frozen=True)
class Target:
    """A running server that is filled, what it is filled with, and where remarks go."""

    settings: Settings
    store: Store
    partitions: Sequence[Partition]
    endpoint: Mapping[str, str]
    program: Binary
    remarks: Remarks
