"""Partitions made by hand: old days, streams without labels, and what the comparison notices."""

from __future__ import annotations

import pyarrow as pa
import pytest
import requests
from support.loki_client import LokiClient
from support.made_partitions import LINES, PAIRS, SETTINGS, put
from support.raw_days import bits
from support.remote_writing import floats, series, write

from lake.base.day import Day
from lake.replay import replayed
from lake.servers import find
from lake.store.directory import DirectoryStore
from lake.systems.loading import Loaded, Remarks
from lake.systems.loki.replay import loader as replay_loki
from lake.systems.prometheus.config import PrometheusDataset
from lake.systems.prometheus.replay.loader import PrometheusLoader

pytestmark = pytest.mark.servers

SAMPLES = PrometheusDataset(name="samples", source="prometheus", query="up", step="12h")


def lines(day, number=3):
    return pa.table(
        {
            "ts": pa.array([day.start_ms * 1000] * number).cast(pa.timestamp("us", "UTC")),
            "ts_ns": [day.start_ns + n for n in range(number)],
            "stream_id": [1, *[2] * (number - 1)],
            "line": [f"line {n}" for n in range(number)],
            "a": pa.array([None, *["x"] * (number - 1)], pa.string()),
            "labels": pa.array([[]] * number, PAIRS),
            "metadata": pa.array([[]] * number, PAIRS),
        }
    )


def samples(day):
    return pa.table(
        {
            "ts": pa.array([day.start_ms, day.start_ms + 43_200_000]).cast(
                pa.timestamp("ms", "UTC")
            ),
            "metric": ["up", "up"],
            "value": [1.5, None],
            "nan": [None, "nan"],
            "series_id": [5, 5],
            "histogram": pa.nulls(2, pa.struct([("count", pa.float64())])),
            "labels": pa.array([[("A", "b")]] * 2, PAIRS),
        }
    )


@pytest.fixture
def made(tmp_path):
    """A Loki before its schema's usual first day, a Prometheus at the epoch; and an empty day."""
    store = DirectoryStore(tmp_path / "lake")
    days = [Day.parse(text) for text in ("1970-01-02", "2015-07-01", "2015-07-02")]
    partitions = [put(store, SAMPLES, day, samples(day)) for day in days[:2]]
    partitions.append(put(store, SAMPLES, days[2], samples(days[2]).slice(0, 0)))
    partitions += [put(store, LINES, day, lines(day)) for day in days[1:]]
    return store, sorted(partitions, key=lambda partition: partition.day)


def test_stale_markers_are_no_nans_without_their_payload(tmp_path):
    store, day = DirectoryStore(tmp_path / "lake"), Day.parse("2015-07-01")
    rows = samples(day)
    markers = pa.array([None, "stale"], rows.schema.field("nan").type)
    rows = rows.set_column(rows.schema.get_field_index("nan"), "nan", markers)
    with replayed(SETTINGS, store, [put(store, SAMPLES, day, rows)]) as result:
        assert not [remark for remark in result.remarks if "payload" in remark]


def test_old_days_and_what_the_comparison_notices(made, monkeypatch):
    store, partitions = made
    old, empty = partitions[1].day, partitions[-1].day
    with replayed(SETTINGS, store, partitions) as result:
        url, loki = result.endpoints["prometheus"]["url"], result.endpoints["loki"]["url"]
        assert result.days["samples"][str(empty)] == {"rows": 0, "countable": 0, "found": 0}
        assert any("12h-step" in remark for remark in result.remarks)
        assert any("without a label" in remark for remark in result.remarks)
        assert any(
            "payload" in remark and remark.endswith("2 samples") for remark in result.remarks
        )
        vector = requests.get(
            f"{url}/api/v1/query", {"query": "up", "time": 86_400 + 43_200}, timeout=30
        ).json()["data"]["result"]
        assert vector == [{"metric": {"__name__": "up", "A": "b"}, "value": [129_600, "NaN"]}]
        window = {"query": '{service_name="unknown_service"}', "start": old.start_ns,
                  "end": old.end_ns}  # fmt: skip
        streams = requests.get(f"{loki}/loki/api/v1/query_range", window, timeout=30).json()
        assert [stream["values"][0][1] for stream in streams["data"]["result"]] == ["line 0"]

        write(url, series({"__name__": "up", "x": "y"}, floats([(old.end_ms - 5, bits(1.0))])))
        loader = PrometheusLoader(store, url, Remarks())
        loaded = {"samples": Loaded(2, 2, 2, {"up": 2})}
        assert loader.count(old, loaded) == {"samples": 3}
        assert loader.count(partitions[0].day, loaded) == {"samples": 2}
        loader.close()

        client = LokiClient(loki)
        client.push({"a": "x"}, [(old.start_ns + 9, "more", {})])
        client.flush()
        client.wait_for('{a="x"}', old.end_ns, 3)
        monkeypatch.setattr(replay_loki, "_APPEARS_WITHIN_S", 0.5)
        reader = replay_loki.LokiLoader(store, loki, find("loki").version, Remarks())
        assert reader.count(old, {"lines": Loaded(3, 3, 3)}) == {"lines": 4}
        reader.close()
