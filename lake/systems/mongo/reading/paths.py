"""The paths met in documents, each with a number: the root, fields, elements of arrays.

Belongs here: the table of paths, which the compiled scan reads and extends.
Does not: scanning (scan), which columns follow from the paths (schema).
"""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt

from lake.compiled import read_only
from lake.systems.mongo.reading.loops.paths import (
    COLUMNS,
    DEPTH,
    FIRST,
    FLAGS,
    FULL,
    IS_ITEM,
    ITEM,
    LAST,
    MAX_PATHS,
    NAME_AT,
    NAME_SIZE,
    NAMES_USED,
    NEXT,
    NO_TEXT,
    OPENS_DOCUMENTS,
    PARENT,
    PATHS,
    ROOT,
    field_of,
    index,
)


@dataclass(eq=False)
class Node:
    """A path as schemas are made of: `name` is None for the elements of an array."""

    id: int
    name: bytes | None
    text: str | None
    depth: int
    opens_documents: bool
    children: list[Node] = field(default_factory=list)
    item: Node | None = None


class Paths:
    """The table. What lies deeper than `max_depth` is not looked into. Paths beyond
    `max_paths` live no longer than `forget_surplus` lets them.
    """

    def __init__(self, max_depth: int, max_paths: int) -> None:
        self.table = np.full((256, COLUMNS), -1, np.int32)
        self.slots = np.full(1024, -1, np.int32)
        self.names = np.zeros(8192, np.uint8)
        self.state = np.array([0, 0, max_depth, max_paths], np.int64)
        self._steps: dict[int, list[str | None]] = {}
        self.table[ROOT] = 0
        self.table[ROOT, [PARENT, ITEM, FIRST, NEXT, LAST]] = -1
        self.table[ROOT, FLAGS] = OPENS_DOCUMENTS
        self.state[PATHS] = 1

    def __len__(self) -> int:
        return int(self.state[PATHS])

    @property
    def flags(self) -> npt.NDArray[np.int32]:
        """Of each path, OPENS_DOCUMENTS and the like."""
        return self.table[: len(self), FLAGS]

    @property
    def items(self) -> npt.NDArray[np.int32]:
        """Of each path that of its elements, −1 where there are none."""
        return self.table[: len(self), ITEM]

    def field(self, parent: int, name: bytes) -> int:
        """The path of a member, made where it is new."""
        while True:
            path = field_of(
                self.table, self.slots, self.names, self.state,
                read_only(name + b"\0"), 0, len(name), parent,
            )  # fmt: skip
            if path != FULL:
                return int(path)
            self.grow()

    def grow(self) -> None:
        """Makes room for twice as many paths."""
        self.table = np.concatenate([self.table, np.full_like(self.table, -1)])
        self.names = np.concatenate([self.names, np.zeros_like(self.names)])
        self.slots = np.full(2 * len(self.slots), -1, np.int32)
        index(self.table, self.slots, self.names, self.state)

    def forget_surplus(self) -> None:
        """Drops the paths beyond `max_paths`."""
        kept = int(self.state[MAX_PATHS])
        if len(self) <= kept:
            return
        surplus = self.table[kept : len(self)]
        named = surplus[surplus[:, FLAGS] & IS_ITEM == 0]
        self.state[NAMES_USED] = named[:, NAME_AT].min(initial=int(self.state[NAMES_USED]))
        self._steps = {path: steps for path, steps in self._steps.items() if path < kept}
        self.state[PATHS] = kept
        links = self.table[:, [ITEM, FIRST, NEXT]]
        self.table[:, [ITEM, FIRST, NEXT]] = np.where(links >= kept, -1, links)
        index(self.table, self.slots, self.names, self.state)

    def steps(self, path: int) -> list[str | None]:
        """The names from the root down; None for an array's elements and for what is not text."""
        if path == ROOT:
            return []
        if path not in self._steps:
            self._steps[path] = [*self.steps(int(self.table[path, PARENT])), self._text(path)]
        return self._steps[path]

    def _name(self, path: int) -> bytes | None:
        if self.table[path, FLAGS] & IS_ITEM:
            return None
        begin = int(self.table[path, NAME_AT])
        return self.names[begin : begin + int(self.table[path, NAME_SIZE])].tobytes()

    def _text(self, path: int) -> str | None:
        name = self._name(path)
        return None if name is None or self.table[path, FLAGS] & NO_TEXT else name.decode()

    def nodes(self) -> list[Node]:
        """All paths as a tree: each with its members in the order of their appearance."""
        made: list[Node] = []
        for path in range(len(self)):
            row = self.table[path]
            node = Node(
                path,
                self._name(path) if path else None,
                self._text(path) if path else None,
                int(row[DEPTH]),
                bool(row[FLAGS] & OPENS_DOCUMENTS),
            )
            made.append(node)
            if row[FLAGS] & IS_ITEM:
                made[row[PARENT]].item = node
            elif path:
                made[row[PARENT]].children.append(node)
        return made
