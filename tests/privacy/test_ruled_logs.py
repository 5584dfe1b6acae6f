"""Rules on lines, metadata and labels of a real Loki."""

from __future__ import annotations

import hashlib
import hmac
import uuid
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest
from pydantic import SecretStr
from support.loki_client import LokiClient
from support.loki_days import DAY, HOUR
from support.no_trace import Kept, holds

from lake.base.errors import LakeError
from lake.partition.parquet import write_parquet
from lake.store.directory import DirectoryStore
from lake.systems.labels import labels_id
from lake.systems.loki.config import LokiDataset, LokiSource
from lake.systems.loki.reading import LokiReader
from lake.systems.unquoting import UnquotingSource

KEY = "0123456789abcdef0123456789abcdef"
TOKEN = "tok-51bd22aa"
AT = DAY.start_ns + 5 * HOUR
Rows = list[dict[str, Any]]


def hashed(text: str) -> str:
    return hmac.new(KEY.encode(), text.encode(), hashlib.sha256).hexdigest()


@pytest.fixture
def loki(loki_url: str) -> LokiClient:
    return LokiClient(loki_url)


def read(loki: LokiClient, job: str, tmp_path: Path, **rules: Any) -> tuple[Rows, Any]:
    """The day's rows, from a Parquet file; nothing on the way may hold the text."""
    dataset = LokiDataset(name="logs", source="loki", selector=f'{{job="{job}"}}', columns=rules)
    dataset = dataset.with_key(SecretStr(KEY))
    scratch, store = tmp_path / uuid.uuid4().hex, DirectoryStore(tmp_path / "out")
    scratch.mkdir()
    reader = UnquotingSource(LokiReader(LokiSource(url=loki.url)))
    try:
        with reader.read(dataset, DAY, scratch) as stream:
            with store.upload("t.parquet") as upload:
                write_parquet(stream, upload)
            counted = reader.count(dataset, DAY).rows
            for path in filter(Path.is_file, scratch.rglob("*")):
                assert not holds(path.read_bytes(), TOKEN), path
    finally:
        reader.close()
    data = store.read("t.parquet")
    assert not holds(data, TOKEN)
    assert TOKEN not in repr(stream.details)
    rows = pa.parquet.read_table(pa.BufferReader(data)).to_pylist()
    assert counted <= len(rows)
    order = [(row["stream_id"], row["ts_ns"]) for row in rows]
    assert order == sorted(order)
    return rows, stream


def test_lines_by_each_rule(loki: LokiClient, tmp_path: Path, kept: Kept) -> None:
    job = f"job-{uuid.uuid4().hex[:12]}"
    lines = [(AT + n, f"user {TOKEN} did {n}", {}) for n in range(6)]
    loki.push({"job": job}, lines)
    loki.wait_for(f'{{job="{job}"}}', DAY.end_ns, 6)
    rows, stream = read(loki, job, tmp_path, line="drop")
    assert [row["line"] for row in rows] == [""] * 6
    assert stream.rules == [{"path": "line", "rule": "drop"}]
    assert stream.details["ruled_values"] == {"line": 6}
    rows, _ = read(loki, job, tmp_path, line="hash")
    assert [row["line"] for row in rows] == [hashed(text) for _, text, _ in lines]
    rows, _ = read(loki, job, tmp_path, line={"truncate": 4})
    assert [row["line"] for row in rows] == ["user"] * 6
    rows, _ = read(loki, job, tmp_path, line={"pattern": "tok-[0-9a-f]+", "replace": "<id>"})
    assert [row["line"] for row in rows] == [f"user <id> did {n}" for n in range(6)]
    assert not any(holds(path.read_bytes(), TOKEN) for path in kept.files())


def test_labels_and_streams_that_a_rule_makes_one(loki: LokiClient, tmp_path: Path) -> None:
    job = f"job-{uuid.uuid4().hex[:12]}"
    for user in range(3):
        labels = {"job": job, "user": f"{TOKEN}-{user}", "Zone": TOKEN}
        loki.push(labels, [(AT + n * 10 + user % 2, f"{user}:{n}", {}) for n in range(4)])
    loki.wait_for(f'{{job="{job}"}}', DAY.end_ns, 12)
    rows, _ = read(loki, job, tmp_path, user="hash", **{"labels.zone": {"truncate": 3}})
    assert {row["user"] for row in rows} == {hashed(f"{TOKEN}-{user}") for user in range(3)}
    assert {dict(row["labels"]).get("Zone") for row in rows} == {"tok"}
    assert len({row["stream_id"] for row in rows}) == 3
    for row in rows:
        own = {n: row[n] for n in ("job", "user", "service_name") if row.get(n)}
        assert row["stream_id"] == labels_id(own | dict(row["labels"]))
    rows, stream = read(loki, job, tmp_path, user="drop", Zone="drop")
    assert len({row["stream_id"] for row in rows}) == 1
    assert "user" not in stream.schema.names
    assert sorted(row["line"] for row in rows) == [f"{u}:{n}" for u in range(3) for n in range(4)]


@pytest.mark.loki(at_least="3.0")
def test_metadata(loki: LokiClient, tmp_path: Path) -> None:
    job = f"job-{uuid.uuid4().hex[:12]}"
    metadata = {"user": TOKEN, "Mail": TOKEN, "trace": "t1"}
    loki.push({"job": job}, [(AT + n, f"{n}", metadata) for n in range(3)])
    loki.wait_for(f'{{job="{job}"}}', DAY.end_ns, 3)
    rows, _ = read(loki, job, tmp_path, **{"metadata.user": "drop", "metadata.mail": "hash"})
    for row in rows:
        stored = dict(row["metadata"])
        stored.pop("detected_level", None)
        assert stored == {"Mail": hashed(TOKEN), "trace": "t1"}


def test_an_error_quotes_no_label(loki: LokiClient, tmp_path: Path, monkeypatch: Any) -> None:
    job = f"job-{uuid.uuid4().hex[:12]}"
    loki.push({"job": job, "user": TOKEN}, [(AT, "x", {})])
    loki.wait_for(f'{{job="{job}"}}', DAY.end_ns, 1)

    def failing(self: Any, *_: Any) -> None:
        raise LakeError("no", where=f'{{job="{job}", user="{TOKEN}"}} at 1', found=f"`{TOKEN}`")

    monkeypatch.setattr("lake.systems.loki.reading.reader.Spool.sorted_batches", failing)
    with pytest.raises(LakeError) as caught:
        read(loki, job, tmp_path, user="hash")
    assert TOKEN not in str(caught.value)
    assert job in str(caught.value)  # the selector is configured
