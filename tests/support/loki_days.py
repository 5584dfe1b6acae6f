"""A day of a real Loki as our reader gives it, and as it was pushed, in one form.

Belongs here: the day, what it is compared by, lines that a pipeline masks. Does not: the client, or
what is hard to read.
"""

from __future__ import annotations

import json
import uuid
from collections.abc import Collection, Mapping
from pathlib import Path

import pyarrow as pa
import pytest

from lake.base.day import Day
from lake.systems.labels import labels_id
from lake.systems.loki.config import LokiDataset, LokiSource
from lake.systems.loki.reading import LokiReader
from support.loki_client import Entry, Labels, LokiClient

DAY = Day.parse("2026-03-01")
MS = 1_000_000
SECOND = 1000 * MS
HOUR = 3600 * SECOND
MASK = '| json msg="msg" | line_format "{{.msg}}"'
"""A pipeline that leaves the user out of lines of `of_user`."""
Pairs = tuple[tuple[str, str], ...]
Row = tuple[Pairs, int, str, Pairs]
"""labels, time, line, metadata; without what Loki adds to both by itself."""


def dataset_of(selector: str) -> LokiDataset:
    return LokiDataset(name="logs", source="loki", selector=selector)


def read(
    loki: LokiClient,
    selector: str,
    tmp_path: Path,
    direct: LokiClient | None = None,
    **section: object,
) -> tuple[pa.Table, dict[str, object]]:
    """The day's table and the details. `direct`: whom to ask for the count, past any fault."""
    scratch = tmp_path / uuid.uuid4().hex
    scratch.mkdir()
    settings = LokiSource.model_validate({"url": loki.url, "tenant": loki.tenant, **section})
    reader = LokiReader(settings)
    dataset = dataset_of(selector)
    try:
        with reader.read(dataset, DAY, scratch) as stream:
            table = pa.Table.from_batches(stream.batches, stream.schema)
        rows = reader.count(dataset, DAY).rows
        # Loki itself does not take {}; 2.2 counts equal lines of several streams once, and up to
        # 3.2 those in the last ns of a part are not counted.
        if not selector.startswith("{}") and (direct or loki).counts_last_ns:
            assert rows == (direct or loki).count(selector, DAY.end_ns, "24h")
        assert rows <= table.num_rows + stream.details["merged_lines"]
    finally:
        reader.close()
    return table, stream.details


def rows_of(table: pa.Table) -> list[Row]:
    """The table as rows, after a look at everything that has to hold in any table."""
    fixed = {"ts", "ts_ns", "stream_id", "line", "labels", "metadata"}
    own = [name for name in table.column_names if name not in fixed]
    assert table.column_names == [
        "ts",
        "ts_ns",
        "stream_id",
        "line",
        *sorted(own),
        "labels",
        "metadata",
    ]
    rows, order = [], []
    for row in table.to_pylist():
        labels = {name: row[name] for name in own if row[name] is not None}
        assert not labels.keys() & dict(row["labels"]).keys()
        labels |= dict(row["labels"])
        assert row["stream_id"] == labels_id(labels)
        assert row["ts"].timestamp() == pytest.approx(row["ts_ns"] / 1e9, abs=1e-5)
        assert row["ts"].microsecond == row["ts_ns"] // 1000 % 1_000_000
        order.append((row["stream_id"], row["ts_ns"]))
        labels.pop("service_name", None)
        metadata = dict(row["metadata"] or ())
        assert [*metadata] == sorted(metadata)
        metadata.pop("detected_level", None)
        rows.append((pairs(labels), row["ts_ns"], row["line"], pairs(metadata)))
    assert order == sorted(order)
    return rows


def pairs(mapping: Mapping[str, str]) -> Pairs:
    return tuple(sorted(mapping.items()))


def pushed(labels: Labels, entries: list[Entry]) -> list[Row]:
    """What has to come back; metadata named like a label is renamed by Loki."""
    return [
        (
            pairs(labels),
            ts,
            line,
            pairs({f"{k}_extracted" if k in labels else k: v for k, v in metadata.items()}),
        )
        for ts, line, metadata in entries
    ]


def assert_rows(loki: LokiClient, rows: list[Row], expected: Collection[Row]) -> None:
    """The rows are those expected, each once; of equal lines that the server merges one of them."""
    if loki.tells_metadata_apart:
        assert sorted(rows) == sorted(set(expected))
        return
    assert sorted(row[:3] for row in rows) == sorted({row[:3] for row in expected})
    assert set(rows) <= set(expected)


def of_user(user: str, text: str = "request handled") -> str:
    return json.dumps({"msg": text, "user": f"{user}@example.test"})
