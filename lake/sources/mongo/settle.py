"""Which values stay in typed columns, and which are left over.

Belongs here: the rule that an array is held whole or not at all, that what lies in
something left over goes with it; counting what columns would hold. Does not: which column
a path gets (schema).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from lake.sources.mongo.kinds import Int32s, Int64s, Kinds, UInt8s
from lake.sources.mongo.loops import settle as loops
from lake.sources.mongo.paths import Paths
from lake.sources.mongo.scan import Tokens


@dataclass(frozen=True)
class Held:
    """The entries in typed columns: those of path p are order[bounds[p]:bounds[p + 1]].

    `left` are the outermost entries that are in no column.
    """

    order: Int32s
    bounds: Int64s
    left: Int32s

    def of(self, path: int) -> Int32s:
        """Those of one path, in the order of their bytes."""
        return self.order[self.bounds[path] : self.bounds[path + 1]]


def count(tokens: Tokens, paths: Paths, votes: Int64s) -> Held:
    """Adds to votes[path, kind] how many values a column of that kind would hold.

    An array adds one, for its elements' path and kind, if all are of one kind.
    """
    bad = np.zeros(len(tokens.path), np.uint8)
    loops.misfits_anywhere(
        paths.table,
        tokens.path,
        tokens.owner,
        tokens.kind,
        bad,
        votes,
        np.full(len(bad), -1, np.int8),
    )
    return _held(tokens, paths, bad)


def settle(tokens: Tokens, paths: Paths, chosen: Kinds) -> Held:
    """`chosen` is the kind of column that each path has."""
    bad = np.zeros(len(tokens.path), np.uint8)
    loops.misfits_of(paths.table, tokens.path, tokens.owner, tokens.kind, chosen, bad)
    return _held(tokens, paths, bad)


def _held(tokens: Tokens, paths: Paths, bad: UInt8s) -> Held:
    bounds = np.zeros(len(paths) + 1, np.int64)
    left = np.empty(len(bad), np.int32)
    many = loops.count_held(tokens.path, tokens.owner, bad, bounds, left)
    order = np.empty(bounds[-1], np.int32)
    loops.sort(tokens.path, bad, bounds[:-1].copy(), order)
    return Held(order, bounds, left[:many])
