"""A day's file as Arrow record batches, and its lines counted."""

import json
from collections.abc import Iterator
from contextlib import contextmanager
from itertools import islice
from pathlib import Path

import pyarrow as pa

from lake.base.day import Day
from lake.partition.table import TableStream
from lake.systems.protocol import Source
from lake.systems.source import Count
from toy_lines.config import LinesDataset, LinesSource

SCHEMA = pa.schema([("ts", pa.timestamp("ms", tz="UTC")), ("text", pa.string())])
ROWS = 1000  # in a batch


class LinesReader(Source):
    """Reads `DIRECTORY/FOLDER/YYYY-MM-DD.jsonl`."""

    may_count_low = False

    def __init__(self, section: LinesSource) -> None:
        self._directory = Path(section.directory)
        self.lateness_days = section.lateness_days

    @contextmanager
    def read(self, dataset: LinesDataset, day: Day, scratch: Path) -> Iterator[TableStream]:
        path = self._path(dataset, day)
        with path.open("rb") if path.exists() else Path("/dev/null").open("rb") as lines:
            yield TableStream(SCHEMA, self._batches(lines), sorted_by=("ts",))

    def _batches(self, lines) -> Iterator[pa.RecordBatch]:
        while chunk := list(islice(lines, ROWS)):
            rows = [json.loads(line) for line in chunk]
            times = pa.array([row["ts"] for row in rows], pa.int64()).cast(SCHEMA.field("ts").type)
            texts = pa.array([row["text"] for row in rows], pa.string())
            yield pa.record_batch([times, texts], schema=SCHEMA)

    def count(self, dataset: LinesDataset, day: Day) -> Count:
        path = self._path(dataset, day)
        return Count(path.read_bytes().count(b"\n") if path.exists() else 0, f"lines of {path}")

    def undated(self, dataset):
        return None

    def outside(self, dataset, start, end):
        return None

    def unseen(self, dataset, day):
        return 0

    def stop(self):
        """Reading a file does not hang."""

    def close(self):
        """Nothing is open."""

    def _path(self, dataset: LinesDataset, day: Day) -> Path:
        return self._directory / dataset.folder / f"{day}.jsonl"
