"""How many values a day's columns leave out, by path: the manifest's `left_out`.

Belongs here: which values count, sums for what goes by many names. Does not: which values
are left out (settle), the manifest's other details.

A value counts that is in no column and only in `_rest` or `_raw`: a question in SQL would miss
it. A null does not, nor does an empty sub-document where the column is a STRUCT or there is none:
they hold nothing. An array counts once, at its own path; so does a sub-document that is left out
whole. Where more than 20 names of one sub-document have no column (or of the top), their sum is at
`<its path>.*` (or `*`).
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass

import numpy as np

from lake.systems.mongo.reading.kinds import Kind, Kinds
from lake.systems.mongo.reading.loops.paths import MAX_PATHS, PARENT
from lake.systems.mongo.reading.paths import Paths
from lake.systems.mongo.reading.scan import Tokens
from lake.systems.mongo.reading.settle import Held

_NULL, _UNDEFINED = 0x0A, 0x06
_MANY = 20  # names of one sub-document that are listed one by one
_PATHS = 200
ANY_NAME = "*"


@dataclass(frozen=True)
class Counts:
    """Path to number of values. `others` has the sums of the paths for which there is no room:
    `paths` and `values`.
    """

    paths: dict[str, int]
    others: dict[str, int]


class LeftOut:
    """The sums over the batches of a day. `kinds` are those of the paths' columns."""

    def __init__(self, kinds: Kinds) -> None:
        self._kinds = kinds
        self._values = np.zeros(len(kinds), np.int64)
        self._surplus: Counter[int] = Counter()

    def add(self, tokens: Tokens, held: Held, paths: Paths) -> None:
        """Counts a batch's values in."""
        left = held.left[held.misfit]
        if not len(left):
            return
        tag, path = tokens.tag[left], tokens.path[left]
        self._kinds = np.concatenate(
            [self._kinds, np.zeros(max(0, len(paths) - len(self._kinds)), np.int8)]
        )
        empty = tokens.kind[left] == Kind.EMPTY
        empty &= np.isin(self._kinds[path], [Kind.STRUCT, Kind.NONE])
        counted = path[(tag != _NULL) & (tag != _UNDEFINED) & ~empty]
        counts = np.bincount(counted, minlength=len(self._values))
        counts[: len(self._values)] += self._values
        kept = int(paths.state[MAX_PATHS])
        for surplus in (kept + np.flatnonzero(counts[kept:])).tolist():
            # Its number is another path's in the next batch.
            parent = surplus
            while parent >= kept:
                parent = int(paths.table[parent, PARENT])
            self._surplus[parent] += int(counts[surplus])
        self._values = counts[:kept]

    def counts(self, paths: Paths) -> Counts:
        """The sums so far."""
        left = np.flatnonzero(self._values)
        parents = paths.table[left, PARENT]
        nameless = self._kinds[left] == Kind.NONE
        many = np.bincount(parents[nameless], minlength=len(paths)) > _MANY
        sums: Counter[str] = Counter()
        for path, parent, summed in zip(
            left.tolist(), parents.tolist(), (nameless & many[parents]).tolist(), strict=True
        ):
            name = _text(paths, parent, ANY_NAME) if summed else _text(paths, path)
            sums[name] += int(self._values[path])
        for parent, values in self._surplus.items():
            sums[_text(paths, parent, ANY_NAME)] += values
        first = sorted(sums.items(), key=lambda item: (-item[1], item[0]))
        rest = first[_PATHS:]
        others = {"paths": len(rest), "values": sum(n for _, n in rest)} if rest else {}
        return Counts(dict(first[:_PATHS]), others)


def _text(paths: Paths, path: int, *more: str) -> str:
    """The names from the top down, joined by dots; a name that is not text is U+FFFD."""
    return ".".join([*("\ufffd" if step is None else step for step in paths.steps(path)), *more])
