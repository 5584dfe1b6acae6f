"""Scans documents that end at a page's end, before a page that may not be read.

Run by test_mongo_malformed: a read beyond the end ends the process. Prints how many documents
were scanned, and how many of them were malformed.
"""

from __future__ import annotations

import ctypes
import datetime as dt
import mmap
import random

import bson
import numpy as np

from lake.systems.mongo.reading.elements import MalformedError
from lake.systems.mongo.reading.kinds import VOTES
from lake.systems.mongo.reading.locate import locate
from lake.systems.mongo.reading.paths import Paths
from lake.systems.mongo.reading.scan import scan
from lake.systems.mongo.reading.settle import count

PAGE = mmap.PAGESIZE
DOCUMENT = bson.encode(
    {"_id": bson.ObjectId(), "timestamp": dt.datetime(2026, 7, 1, tzinfo=dt.UTC), "s": "é" * 9,
     "n": 1, "l": [1, {"a": "x"}, [2.5]], "d": {"b": True, "t": bson.Decimal128("1.5")},
     "r": bson.Regex("a", "i"), "c": bson.Code("f", {"x": 1}), "b": b"abc", "z": "last"}
)  # fmt: skip


def main() -> None:
    memory = mmap.mmap(-1, 2 * PAGE)
    address = ctypes.addressof(ctypes.c_char.from_buffer(memory))
    assert ctypes.CDLL(None, use_errno=True).mprotect(
        ctypes.c_void_p(address + PAGE), ctypes.c_size_t(PAGE), 0
    ) == 0  # fmt: skip
    page = np.frombuffer(memory, np.uint8, PAGE)
    chance, paths = random.Random(7), Paths(12, 2000)
    malformed = 0
    for number in range(4000):
        data = bytearray(DOCUMENT)
        # The second half of the documents is cut as well; their length says so.
        if number % 2:
            data = data[: chance.randrange(5, len(data))]
            data[:4] = len(data).to_bytes(4, "little")
        for _ in range(number % 4):
            data[chance.randrange(4, len(data))] = chance.choice([0, 2, 3, 4, 5, 15, 255])
        edge = page[PAGE - len(data) :]
        edge[:] = np.frombuffer(bytes(data), np.uint8)
        tokens = scan(edge, [0], paths)
        votes, bounds = np.zeros((len(paths), VOTES), np.int64), np.zeros((len(paths), 2), np.int64)
        count(tokens, paths, votes, bounds)
        malformed += int(tokens.unrepresentable[0])
        paths.forget_surplus()
        try:
            locate(edge, "timestamp", or_id=True)
        except MalformedError:
            malformed += 1
    print(number + 1, malformed)


main()
