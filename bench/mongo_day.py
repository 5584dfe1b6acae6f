"""A day of MongoDB documents for the benchmarks, as raw BSON answers in a file.

Belongs here: the documents (about 600 bytes, 23 fields, in three levels), a source that hands
them out as a server's answers would come, and what proves that both sides read the same.
Does not: timing.
"""

from __future__ import annotations

import datetime as dt
import hashlib
import random
import struct
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import bson
from bson import Int64, ObjectId

from lake.base.day import Day
from lake.config.datasets import Dataset
from lake.config.settings import Settings
from lake.partition.table import TableStream
from lake.systems.mongo.config import MongoDataset
from lake.systems.mongo.reading.table import DayTable
from lake.systems.source import Count

DAY = Day.parse("2026-07-01")
DATASET = MongoDataset(name="events", source="mongo", collection="events")
ANSWER_BYTES = 16 << 20  # what a server puts into one answer, at most
_MACHINE = b"bench"


def document(number: int, of: int, chance: random.Random) -> bytes:
    """One of `of` documents, spread over the day."""
    at = DAY.start + dt.timedelta(milliseconds=86_400_000 * number // of)
    seconds = int(at.timestamp()).to_bytes(4, "big")
    status = chance.choice(["COMPLETED"] * 19 + ["FAILED"])
    made = {
        "_id": ObjectId(seconds + _MACHINE + number.to_bytes(4, "big")[1:]),
        "timestamp": at,
        "requestId": f"{chance.getrandbits(128):032x}",
        "sessionId": f"{chance.getrandbits(14):032x}",
        "userId": f"user-{chance.randrange(5000):05}",
        "status": status,
        "durationMs": Int64(chance.randrange(100, 5000)),
        "cached": chance.random() < 0.2,
        "score": chance.random(),
        "client": {
            "platform": chance.choice(["ios", "android", "web"]),
            "version": f"5.{chance.randrange(9)}.0",
            "locale": chance.choice(["ko-KR", "en-US"]),
        },
        "llm": {
            "model": "dialogue-large",
            "tokens": {
                "prompt": chance.randrange(3000),
                "completion": chance.randrange(500),
                "total": chance.randrange(3500),
            },
            "cost": chance.random() / 100,
            "latencyMs": Int64(chance.randrange(3000)),
        },
        "tts": {
            "voice": chance.choice("abcdef"),
            "characters": chance.randrange(400),
            "latencyMs": Int64(chance.randrange(900)),
        },
        "tags": chance.sample(["new", "paying", "beta", "kiosk"], chance.randrange(4)),
        "preview": "I would like to know about " + "x" * chance.randrange(40),
    }
    if status == "FAILED":
        made["error"] = {"code": chance.randrange(10), "message": "upstream timed out"}
    return bson.encode(made)


def day_file(count: int) -> Path:
    """So many documents, one behind the other; made once and kept in the temporary folder."""
    path = Path(tempfile.gettempdir()) / f"monitoring-lake-bench-{count}-1.bson"
    if not path.exists():
        chance, part = random.Random(1), path.with_suffix(".part")
        with part.open("wb") as file:
            for number in range(count):
                file.write(document(number, count, chance))
        part.rename(path)
    return path


def answers(path: Path) -> Iterator[bytes]:
    """The file in answers of whole documents."""
    rest = b""
    with path.open("rb") as file:
        while piece := file.read(ANSWER_BYTES - len(rest)):
            data, end = rest + piece, 0
            while end + 4 <= len(data):
                (size,) = struct.unpack_from("<i", data, end)
                if end + size > len(data):
                    break
                end += size
            yield data[:end]
            rest = data[end:]


class Replayed:
    """A lake.sources.Source of one day, in a file instead of a server."""

    may_count_low = False
    lateness_days = 0

    def __init__(self, path: Path, count: int) -> None:
        self._path = path
        self._count = count
        # Cut beforehand: a server's answers come whole.
        self._cuts = [0]
        for answer in answers(path):
            self._cuts.append(self._cuts[-1] + len(answer))

    @contextmanager
    def read(self, dataset: Dataset, day: Day, scratch: Path) -> Iterator[TableStream]:
        """See Source."""
        assert isinstance(dataset, MongoDataset)
        with DayTable(dataset, day, scratch) as table:
            for answer in self.answers():
                table.add(answer)
            yield table.stream()

    def answers(self) -> Iterator[bytes]:
        """The same answers each time, with next to no work."""
        with self._path.open("rb") as file:
            for begin, end in zip(self._cuts, self._cuts[1:], strict=False):
                yield file.read(end - begin)

    def count(self, dataset: Dataset, day: Day) -> Count:
        """See Source."""
        return Count(self._count, "as many as were made")

    def undated(self, dataset: Dataset) -> int | None:
        """See Source."""
        return 0

    def outside(self, dataset: Dataset, start: Day, end: Day) -> int | None:
        """See Source."""
        return 0

    def unseen(self, dataset: Dataset, day: Day) -> int:
        """See Source."""
        return 0

    def stop(self) -> None:
        """See Source."""

    def close(self) -> None:
        """See Source."""


def settings(root: Path) -> Settings:
    """A lake in a directory with that one dataset."""
    return Settings(
        lake={"root": str(root)},
        sources={"mongo": {"uri": "mongodb://127.0.0.1:1", "database": "bench"}},
        hot={"mongo": 3650},
        dataset=[DATASET],
    )


def digest(documents: Iterator[bytes]) -> str:
    """Of documents in order of their bytes' hashes: the same for the same ones in any order."""
    total = sum(int.from_bytes(hashlib.sha256(stored).digest(), "big") for stored in documents)
    return f"{total % 2**256:064x}"
