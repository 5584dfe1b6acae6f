"""Whether a path's values repeat: what decides between a dictionary and other encodings.

Belongs here: counting different values in a sample. Does not: the encodings (layout).
"""

from __future__ import annotations

from collections import defaultdict

import numpy as np
import numpy.typing as npt
import pyarrow.compute as pc

from lake.systems.mongo.reading.kinds import Int32s, Kind, Values
from lake.systems.mongo.reading.scan import Tokens
from lake.systems.mongo.reading.settle import Held

_ENOUGH = 20_000  # values of a path that are looked at
_TOO_FEW = 32  # of a path in one batch: not representative
_SAMPLED = (Kind.STRING, Kind.DOUBLE, Kind.UUID)


class Samples:
    """For each path how many of its first values were looked at, and how many differ."""

    def __init__(self) -> None:
        self._seen: defaultdict[int, int] = defaultdict(int)
        self._different: defaultdict[int, int] = defaultdict(int)

    def add(self, tokens: Tokens, held: Held) -> None:
        """Looks at a batch's strings, doubles and UUIDs, within the batch only."""
        values = Values(tokens.data)
        sizes = np.diff(held.bounds)
        for path in np.flatnonzero(sizes >= _TOO_FEW).tolist():
            if self._seen[path] >= _ENOUGH:
                continue
            entries = held.of(path)
            for sampled in _SAMPLED:
                mine = entries[tokens.kind[entries] == sampled]
                if len(mine) >= _TOO_FEW and self._seen[path] < _ENOUGH:
                    self._seen[path] += len(mine)
                    self._different[path] += _different(values, sampled, tokens.at[mine])

    def share(self, path: int) -> float:
        """Different values over values; 0 where there were none."""
        return self._different[path] / max(1, self._seen[path])


def _different(values: Values, kind: Kind, at: Int32s) -> int:
    if kind == Kind.STRING:
        return int(pc.count_distinct(values.strings(at)).as_py())
    if kind == Kind.UUID:
        return len(np.unique(values.fixed(at + 5, 16).view("V16")))
    bits: npt.NDArray[np.float64] = values.doubles(at)
    return len(np.unique(bits.view(np.uint64)))
