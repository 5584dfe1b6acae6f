"""The sort keys of a day's documents, found in a server's answer.

Belongs here: where documents begin, their time and `_id`, without looking at more of them.
Does not: sorting (spool), their other fields (scan).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from lake.compiled import read_only
from lake.systems.mongo.reading.elements import MalformedError
from lake.systems.mongo.reading.kinds import Bools, UInt8s
from lake.systems.mongo.reading.loops import locate as loops

_DATE, _OBJECT_ID = 0x09, 0x07

LOCATED = np.dtype(
    [("begin", "<i8"), ("size", "<i8"), ("time_ms", "<i8"), ("high", "<u8"), ("low", "<u8")]
)


@dataclass(frozen=True)
class Located:
    """Documents of an answer: `rows` of LOCATED, and which of them have a time.

    `high` and `low` are the type of `_id` and its first 15 bytes: in their order documents
    stand that have the same time.
    """

    data: UInt8s
    rows: npt.NDArray[np.void]
    dated: Bools


def locate(data: Any, time_field: str, *, or_id: bool) -> Located:
    """Takes an answer apart. `or_id`: without a date an ObjectId gives the time.

    Raises MalformedError.
    """
    content = read_only(data)
    most = len(content) // 5
    columns = [np.empty(most, np.int64) for _ in range(5)]
    tags = np.empty((2, most), np.uint8)
    names = np.frombuffer(time_field.encode().replace(b".", b"\0") + b"\0", np.uint8).copy()
    names.flags.writeable = False
    many = loops.locate(content, names, *columns, tags[0], tags[1])
    if many < 0:
        raise MalformedError(f"no document at byte {-1 - many}")
    rows = np.empty(many, LOCATED)
    for name, column in zip(LOCATED.names or (), columns, strict=True):
        rows[name] = column[:many].view(np.uint64) if name in {"high", "low"} else column[:many]
    dated = tags[0, :many] == _DATE
    if or_id:
        by_id = ~dated & (tags[1, :many] == _OBJECT_ID)
        seconds = (rows["high"][by_id] >> np.uint64(24)) & np.uint64(0xFFFFFFFF)
        rows["time_ms"][by_id] = seconds.astype(np.int64) * 1000
        dated |= by_id
    return Located(content, rows, dated)
