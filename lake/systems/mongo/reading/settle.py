"""Which values stay in typed columns, and which go to `_rest`.

Belongs here: the rule that an array is held whole or not at all, that what lies in
something left over goes with it; counting what columns would hold. Does not: which column
a path gets (schema).

A value may be in both: a column holds a number of another BSON type, and `_rest` records which.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from lake.systems.mongo.reading.kinds import Bools, Int32s, Int64s, Kinds, UInt8s
from lake.systems.mongo.reading.loops import settle as loops
from lake.systems.mongo.reading.paths import Paths
from lake.systems.mongo.reading.scan import Tokens


@dataclass(frozen=True)
class Held:
    """The entries in typed columns: those of path p are order[bounds[p]:bounds[p + 1]].

    `left` are the outermost entries that `_rest` has; `misfit` marks those of them in no
    column.
    """

    order: Int32s
    bounds: Int64s
    left: Int32s
    misfit: Bools

    def of(self, path: int) -> Int32s:
        """Those of one path, in the order of their bytes."""
        return self.order[self.bounds[path] : self.bounds[path + 1]]


@dataclass(frozen=True)
class Chosen:
    """The column of each path: its kind, and of decimals scale and precision."""

    kinds: Kinds
    scales: Kinds
    precisions: Kinds

    @classmethod
    def none(cls, paths: int) -> Chosen:
        """No path has a column."""
        return cls(*(np.zeros(paths, np.int8) for _ in range(3)))

    def grown(self, paths: int) -> Chosen:
        """The same for `paths` paths; new ones have no column."""
        if paths <= len(self.kinds):
            return self
        more = np.zeros(paths - len(self.kinds), np.int8)
        kept = (self.kinds, self.scales, self.precisions)
        return Chosen(*(np.concatenate([array, more]) for array in kept))


def count(tokens: Tokens, paths: Paths, votes: Int64s, bounds: Int64s) -> Held:
    """Adds to votes[path, class] how many values a column for that class would hold.

    An array adds one, for its elements' path and class, if one column would hold all of them.
    bounds[path] becomes the least and the largest integer so far.
    """
    bad = np.zeros(len(tokens.path), np.uint8)
    loops.misfits_anywhere(
        tokens.data,
        tokens.at,
        tokens.tag,
        paths.table,
        tokens.path,
        tokens.owner,
        tokens.kind,
        bad,
        votes,
        np.full(len(bad), -1, np.int8),
        bounds,
    )
    return _held(tokens, paths, bad, np.zeros_like(bad))


def settle(tokens: Tokens, paths: Paths, chosen: Chosen) -> Held:
    """What the chosen columns hold."""
    bad, also = np.zeros((2, len(tokens.path)), np.uint8)
    loops.misfits_of(
        tokens.data,
        tokens.at,
        tokens.tag,
        paths.table,
        tokens.path,
        tokens.owner,
        tokens.kind,
        chosen.kinds,
        chosen.scales,
        chosen.precisions,
        bad,
        also,
    )
    return _held(tokens, paths, bad, also)


def _held(tokens: Tokens, paths: Paths, bad: UInt8s, also: UInt8s) -> Held:
    bounds = np.zeros(len(paths) + 1, np.int64)
    left = np.empty(len(bad), np.int32)
    many = loops.count_held(tokens.path, tokens.owner, bad, also, bounds, left)
    order = np.empty(bounds[-1], np.int32)
    loops.sort(tokens.path, bad, bounds[:-1].copy(), order)
    return Held(order, bounds, left[:many], bad[left[:many]].astype(np.bool_))
