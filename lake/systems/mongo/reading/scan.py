"""BSON documents as flat arrays: which value of which type lies where, under which path.

Belongs here: the arrays, and the compiled walk that fills them. Does not: the table of paths
(paths), which values stay in columns (settle), what is made of them (columns).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from lake.compiled import read_only
from lake.systems.mongo.reading.kinds import Int32s, Kinds, UInt8s
from lake.systems.mongo.reading.loops import scan as loop
from lake.systems.mongo.reading.loops.paths import LAST
from lake.systems.mongo.reading.paths import Paths


@dataclass(frozen=True)
class Tokens:
    """All values of a batch of documents, in the order of their bytes.

    One entry per value: `row` the document's number, `path` its number, `tag` the BSON type, `at`
    where in `data` the value begins, `owner` the entry of the document or array that it lies in
    (−1: the document itself), `kind` the column that would hold it exactly, or Kind.NONE.
    `unrepresentable` marks the rows that Extended JSON can't represent for a reason that no single
    kind shows: a name twice, a name that is not text or such as `$oid`, a NaN with a sign or
    payload, bytes that are no BSON. The last have no entries.
    """

    data: UInt8s
    starts: npt.NDArray[np.int64]
    row: Int32s
    path: Int32s
    tag: UInt8s
    at: Int32s
    owner: Int32s
    kind: Kinds
    unrepresentable: UInt8s

    @property
    def rows(self) -> int:
        """How many documents."""
        return len(self.starts)

    def document(self, row: int) -> bytes:
        """The bytes of one document."""
        start = int(self.starts[row])
        size = int.from_bytes(self.data[start : start + 4].tobytes(), "little")
        return self.data[start : start + size].tobytes()


def scan(data: Any, starts: Sequence[int] | npt.NDArray[np.int64], paths: Paths) -> Tokens:
    """Walks over the documents that begin at `starts`; adds new paths to `paths`."""
    content, begins = read_only(data), np.asarray(starts, np.int64)
    most = len(content) // 2 + 1  # a value takes two bytes at least; what isn't used isn't touched
    row, path, at, owner = (np.empty(most, np.int32) for _ in range(4))
    tag, kind = np.empty(most, np.uint8), np.empty(most, np.int8)
    unrepresentable = np.zeros(len(begins), np.uint8)
    paths.table[: len(paths), LAST] = -1
    done = np.zeros(2, np.int64)  # documents, entries
    opened = np.empty((loop.LEVELS, 5), np.int64)
    while not loop.scan(
        content, begins, paths.table, paths.slots, paths.names, paths.state,
        done, row, path, tag, at, owner, kind, unrepresentable, opened,
    ):  # fmt: skip
        paths.grow()
    used = int(done[1])
    return Tokens(
        content, begins, row[:used], path[:used], tag[:used], at[:used], owner[:used],
        kind[:used], unrepresentable,
    )  # fmt: skip
