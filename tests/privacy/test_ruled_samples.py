"""Rules on labels of a real Prometheus, in both modes."""

from __future__ import annotations

import hashlib
import hmac
import struct
import uuid
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest
from pydantic import SecretStr
from support.no_trace import Kept, holds
from support.remote_writing import floats, series, write

from lake.base.day import Day
from lake.base.errors import BadData
from lake.partition.parquet import write_parquet
from lake.servers import start
from lake.systems.labels import series_id
from lake.systems.prometheus.config import PrometheusDataset, PrometheusSource
from lake.systems.prometheus.reading import PrometheusReader
from lake.systems.unquoting import UnquotingSource

KEY = "0123456789abcdef0123456789abcdef"
TOKEN = "tok-90ee14c7"
DAY = Day.parse("2026-03-14")
MINUTE = 60_000


def hashed(text: str) -> str:
    return hmac.new(KEY.encode(), text.encode(), hashlib.sha256).hexdigest()


@pytest.fixture(scope="module")
def url() -> Iterator[str]:
    with start(["prometheus"], prometheus_out_of_order="20d") as stack:
        yield stack.endpoints["prometheus"]["url"]


@pytest.fixture
def metric(url: str) -> str:
    """Three users' series, each with a sample a minute for an hour."""
    name = f"m_{uuid.uuid4().hex[:12]}"
    for user in range(3):
        samples = [
            (DAY.start_ms + n * MINUTE, int.from_bytes(struct.pack(">d", user * 1000 + n)))
            for n in range(60)
        ]
        labels = {"__name__": name, "user": f"{TOKEN}-{user}", "Zone": TOKEN, "job": "j"}
        write(url, series(labels, floats(samples)))
    return name


def read(
    url: str, query: str, mode: str, tmp_path: Path, monkeypatch: Any, **rules: Any
) -> tuple[list[dict[str, Any]], Any]:
    # No answer waits in memory: all go through files.
    monkeypatch.setattr("lake.systems.prometheus.reading.promql_day._ROOM", 0)
    dataset = PrometheusDataset(
        name="t", source="prometheus", query=query, mode=mode, step="60s", columns=rules
    ).with_key(SecretStr(KEY))
    scratch, path = tmp_path / uuid.uuid4().hex, tmp_path / f"{uuid.uuid4().hex}.parquet"
    scratch.mkdir()
    reader = UnquotingSource(PrometheusReader(PrometheusSource(url=url)))
    try:
        with reader.read(dataset, DAY, scratch) as stream, path.open("wb") as file:
            written = write_parquet(stream, file)
            for work in filter(Path.is_file, scratch.rglob("*")):
                assert not holds(work.read_bytes(), TOKEN), work
        assert reader.count(dataset, DAY).rows == written.rows
    finally:
        reader.close()
    assert not holds(path.read_bytes(), TOKEN)
    assert TOKEN not in repr(stream.details)
    assert stream.rules == dataset.rules().to_json()
    return pq.ParquetFile(path).read().to_pylist(), stream


@pytest.mark.parametrize("mode", ["range", "raw"])
def test_series_keep_apart_by_hashed_labels(
    url: str, metric: str, mode: str, tmp_path: Path, kept: Kept, monkeypatch: Any
) -> None:
    rows, stream = read(
        url, metric, mode, tmp_path, monkeypatch, user="hash", **{"labels.zone": "drop"}
    )
    expected = {hashed(f"{TOKEN}-{user}"): user for user in range(3)}
    assert {row["user"] for row in rows} == set(expected)
    assert {row["value"] // 1000 for row in rows if row["user"] == hashed(f"{TOKEN}-2")} == {2}
    for row in rows:
        labels = {"__name__": metric, "user": row["user"], "job": "j"}
        assert row["series_id"] == series_id(labels, metric)
        assert row["labels"] == []
    assert kept.files() or mode == "raw"  # whose samples are spooled without labels
    assert not any(holds(path.read_bytes(), TOKEN) for path in kept.files())
    assert min(stream.details["ruled_values"].values()) >= 3


@pytest.mark.parametrize("mode", ["range", "raw"])
@pytest.mark.parametrize("rule", ["drop", {"truncate": 4}])
def test_two_series_that_would_become_one_are_an_error(
    url: str, metric: str, mode: str, rule: Any, tmp_path: Path, monkeypatch: Any
) -> None:
    with pytest.raises(BadData) as caught:
        read(url, metric, mode, tmp_path, monkeypatch, user=rule)
    assert "make two series the same" in str(caught.value)
    assert "hash the label" in str(caught.value)
    assert TOKEN not in str(caught.value)


def test_a_sum_without_the_label_is_exported(
    url: str, metric: str, tmp_path: Path, monkeypatch: Any
) -> None:
    query = f"sum without (user, Zone) ({metric})"
    rows, stream = read(url, query, "range", tmp_path, monkeypatch, user="drop")
    assert rows[0]["value"] == 3000
    assert stream.details["ruled_values"] == {"user": 0}
