"""Which values stay in typed columns, and which are left over.

Belongs here: the rule that an array is held whole or not at all, that what lies in
something left over goes with it. Does not: which column a path has.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from lake.sources.mongo.kinds import Kind, Kinds
from lake.sources.mongo.scan import Bools, Int32s, Paths, Tokens


@dataclass(frozen=True)
class Layout:
    """What is known of the paths of a batch's values, one entry a value."""

    in_list: Bools
    is_item: Bools

    @classmethod
    def of(cls, tokens: Tokens, paths: Paths) -> Layout:
        """Looks up each value's path."""
        nodes = list(paths.all())
        in_list = np.array([node.in_list for node in nodes])
        is_item = np.array([node.name is None for node in nodes])
        return cls(in_list[tokens.path], is_item[tokens.path])


@dataclass(frozen=True)
class Settled:
    """`held`: values in typed columns. `left`: the outermost values that are not."""

    held: Bools
    left: Bools


def settle(tokens: Tokens, layout: Layout, fits: Bools) -> Settled:
    """From "this value fits its column by itself" to what is really kept there."""
    bad = ~fits
    _spread_up(tokens, layout, bad)
    covered = _spread_down(tokens, bad)
    inner = tokens.owner >= 0
    left = covered.copy()
    left[inner] &= ~covered[tokens.owner[inner]]
    return Settled(~covered, left)


def _spread_up(tokens: Tokens, layout: Layout, bad: Bools) -> None:
    """One misfit anywhere within an array, and the whole outermost array is one."""
    found: npt.NDArray[np.integer] = np.flatnonzero(bad & layout.in_list)
    while len(found):
        owners = np.unique(tokens.owner[found])
        bad[owners] = True
        found = owners[layout.in_list[owners]]


def _spread_down(tokens: Tokens, bad: Bools) -> Bools:
    covered = bad.copy()
    inner = np.flatnonzero(tokens.owner >= 0)
    owners = tokens.owner[inner]
    while True:
        fresh = inner[covered[owners] & ~covered[inner]]
        if not len(fresh):
            return covered
        covered[fresh] = True


def mixed_arrays(tokens: Tokens, layout: Layout, kind: Kinds) -> tuple[Int32s, Kinds, Bools]:
    """For each array with elements other than null: its entry, their kind, whether they differ."""
    items = np.flatnonzero(layout.is_item & (kind != Kind.NULL))
    kinds = np.where(kind[items] == Kind.EMPTY, Kind.STRUCT, kind[items]).astype(np.int8)
    owners = tokens.owner[items]
    lowest = np.full(len(kind), 127, np.int8)
    highest = np.full(len(kind), -1, np.int8)
    np.minimum.at(lowest, owners, kinds)
    np.maximum.at(highest, owners, kinds)
    arrays = np.flatnonzero(highest >= 0).astype(np.int32)
    return arrays, lowest[arrays], lowest[arrays] != highest[arrays]
