"""However documents arrive, they leave in one order."""

from __future__ import annotations

import random
import struct
from pathlib import Path

import bson
import numpy as np
import pytest
from support.strategies import DAY_START_MS

from lake.systems.mongo.reading import spool
from lake.systems.mongo.reading.locate import LOCATED, Located
from lake.systems.mongo.reading.spool import Spool

HOUR_MS = 3_600_000


def documents() -> list[tuple[int, bytes, bytes]]:
    """Time, `_id`'s bytes, document; sorted as they have to leave."""
    long_ids = [b"\2" + b"the same beginning, then %d" % i for i in range(5)]
    ids = [b"", *long_ids, b"\7" + bytes(12), b"\7" + bytes(11) + b"\1", b"\x10\1\0\0\0"]
    times = [0, 1, 1 + HOUR_MS, 24 * HOUR_MS - 1]
    return [
        (DAY_START_MS + time, id_, bson.encode({"id": id_, "time": time}))
        for time in times
        for id_ in ids
    ]


def located(documents: list[tuple[int, bytes, bytes]]) -> Located:
    rows, begin = [], 0
    for time, id_, document in documents:
        high, low = struct.unpack(">QQ", id_[:16].ljust(16, b"\0"))
        rows.append((begin, len(document), time, high, low))
        begin += len(document)
    data = np.frombuffer(b"".join(document for _, _, document in documents), np.uint8)
    return Located(data, np.array(rows, LOCATED), np.ones(len(rows), np.bool_))


def spooled(folder: Path, order: list[tuple[int, bytes, bytes]]) -> list[bytes]:
    with Spool(folder, DAY_START_MS) as held:
        for part in (order[: len(order) // 2], order[len(order) // 2 :]):
            if part:
                held.add(located(part))
        assert held.documents == len(order)
        assert held.size_bytes == sum(len(document) for _, _, document in order)
        first, second = ([(d.tobytes(), s.tolist()) for d, s in held.batches()] for _ in "12")
    assert first == second
    assert not list(folder.iterdir())
    contents = []
    for data, starts in first:
        ends = [*starts[1:], len(data)]
        contents += [data[start:end] for start, end in zip(starts, ends, strict=True)]
        assert len(starts) <= spool._BATCH_ROWS
        assert len(starts) == 1 or len(data) <= spool._BATCH_BYTES
    return contents


@pytest.mark.parametrize("seed", range(5))
@pytest.mark.parametrize(("rows", "size"), [(8192, 8 << 20), (3, 1000), (100, 150), (1, 1)])
def test_any_order_in_one_order_out(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, seed: int, rows: int, size: int
) -> None:
    monkeypatch.setattr(spool, "_BATCH_ROWS", rows)
    monkeypatch.setattr(spool, "_BATCH_BYTES", size)
    expected = documents()
    arriving = random.Random(seed).sample(expected, len(expected))
    assert spooled(tmp_path, arriving) == [document for _, _, document in expected]


def test_equal_keys_are_told_apart_by_the_whole_document(tmp_path: Path) -> None:
    same = [(DAY_START_MS, b"\7" + bytes(12), bson.encode({"n": n})) for n in range(9)]
    assert spooled(tmp_path, same[::-1]) == [document for _, _, document in same]


def test_nothing_in_nothing_out(tmp_path: Path) -> None:
    assert spooled(tmp_path, []) == []
