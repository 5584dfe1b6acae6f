"""What each system's loader does, and what it tells.

Belongs here: the protocol between the run and the systems. Does not: any system.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Protocol

from lake.base.day import Day
from lake.systems.partitions import Partition


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

    def told(self) -> list[str]:
        """For people."""
        return [text.replace("{}", f"{number:,}") for text, number in self._found.items()]


class Loader(Protocol):
    """Writes partitions into one running server and asks it what it holds.

    Every method may raise what the server's refusals mean.
    """

    def order_of(self, partition: Partition) -> str:
        """Partitions come sorted by this."""

    def load(self, partition: Partition) -> Loaded:
        """All rows of a partition; they may still be on their way when it returns."""

    def end_of_day(self) -> None:
        """Returns once all that was loaded was accepted."""

    def finish(self) -> None:
        """After the last partition."""

    def found(self, day: Day, loaded: Mapping[str, Loaded]) -> dict[str, int]:
        """Of each dataset (by name) that has the day: how much of `countable` the server finds.

        Needs no earlier `load`: an earlier process may have done that.
        """

    def close(self) -> None:
        """Ends the connections; what is on its way is given up."""
