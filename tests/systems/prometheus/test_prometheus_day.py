"""A day from a real Prometheus, held against one unsharded request read by the json module."""

from __future__ import annotations

import json
import math
from decimal import Decimal
from pathlib import Path
from typing import Any

import duckdb
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import requests
from support.prometheus_history import DAY, MANY_NAMES, dataset, history

from lake.base.errors import Refused
from lake.partition.parquet import write_parquet
from lake.systems.labels import series_id
from lake.systems.prometheus.config import PrometheusSource
from lake.systems.prometheus.reading import PrometheusReader, plan

FIXED = ["ts", "metric", "value", "nan", "series_id", "histogram"]
EVERYTHING = '{job="t"}'


def read(reader: PrometheusReader, scratch: Path, query: str, **options: Any) -> pa.Table:
    with reader.read(dataset(query, **options), DAY, scratch) as stream:
        return pa.Table.from_batches(list(stream.batches), stream.schema)


def plain(table: pa.Table) -> pa.Table:
    """Without dictionaries, whose order says nothing."""
    fields = [
        field.with_type(pa.string()) if pa.types.is_dictionary(field.type) else field
        for field in table.schema
    ]
    return table.cast(pa.schema(fields)).combine_chunks()


def asked_directly(url: str, query: str, step_s: int = 15) -> list[tuple[Any, ...]]:
    """(labels, ms, value or 'NaN'), sorted."""
    start = DAY.start_ms // 1000
    params = {"query": query, "start": start, "end": start + 86_400 - step_s, "step": step_s}
    answer = requests.get(f"{url}/api/v1/query_range", params=params, timeout=60)
    result = json.loads(answer.content, parse_float=Decimal)["data"]["result"]
    return sorted(
        (tuple(sorted(series["metric"].items())), int(at * 1000), comparable(float(value)))
        for series in result
        for at, value in series["values"]
    )


def comparable(value: float) -> str:
    """Tells -0 from 0 and lets NaN be equal to itself."""
    return repr(value)


def as_asked(table: pa.Table) -> list[tuple[Any, ...]]:
    """The same form, from the lake's columns."""
    columns = [name for name in table.schema.names if name not in [*FIXED, "labels"]]
    rows = []
    at_ms = table["ts"].cast(pa.int64()).to_pylist()
    for row, at in zip(table.drop_columns("ts").to_pylist(), at_ms, strict=True):
        labels = {name: row[name] for name in columns if row[name] is not None}
        labels |= dict(row["labels"])
        if row["metric"] is not None:
            labels["__name__"] = row["metric"]
        assert row["series_id"] == series_id(labels, row["metric"] or "")
        assert (row["value"] is None) == (row["nan"] == "nan")
        assert row["histogram"] is None
        value = math.nan if row["value"] is None else row["value"]
        rows.append((tuple(sorted(labels.items())), at, comparable(value)))
    return sorted(rows)


@pytest.mark.parametrize(
    "query",
    [
        EVERYTHING,
        '{__name__=~"app_(gappy|odd|short_lived|edge|before|next)", job="t"}',
        "app_requests_total",
        'app_requests_total{path!=""}',
        "sum by (method) (rate(app_requests_total[5m])) # with a comment",
        "1 / 3",
        "sum(rate(app_requests_total[5m]))",
        "histogram_quantile(0.9, sum by (le) (rate(app_latency_bucket[5m])))",
        "app_latency_sum / app_latency_count",
        'label_replace(app_odd, "__name__", "Renamed:odd", "", "")',
        'count_values("Value", round(app_gappy))',
        "topk(2, app_requests_total)",
        "app_requests_total offset 1h > 10",
        "time() % 3600",
        '{job="t"} unless {job="t",__name__!="app_odd"}',
    ],
)
def test_same_samples_as_one_direct_request(reader, url, scratch, query):
    expected = asked_directly(url, query)
    assert expected
    assert as_asked(read(reader, scratch, query)) == expected
    assert reader.count(dataset(query), DAY).rows == len(expected)


def test_a_result_without_a_name_has_an_id_of_its_labels(reader, scratch):
    query = "sum by (method, Zone) (rate(app_requests_total[5m]))"
    table = read(reader, scratch, query)
    assert table["metric"].null_count == table.num_rows > 0
    identities = {
        (row["series_id"], row["method"], tuple(row["labels"]))
        for row in table.select(["series_id", "method", "labels"]).to_pylist()
    }
    expected = [{"Zone": "kr"}, {"method": "get"}, {}]
    assert identities == {
        (series_id(labels, ""), labels.get("method"),
         tuple((k, v) for k, v in labels.items() if k == "Zone"))
        for labels in expected
    }  # fmt: skip


def test_many_parts_give_the_same_table(reader, url, scratch, tmp_path, monkeypatch):
    whole = read(reader, scratch, EVERYTHING)
    monkeypatch.setattr(plan, "_TARGET_SAMPLES", 2000)
    monkeypatch.setattr("lake.systems.prometheus.reading.blocks.BATCH_ROWS", 700)
    monkeypatch.setattr("lake.systems.prometheus.reading.runs._BLOCK_ROWS", 50)
    again = read(reader, scratch, EVERYTHING)
    assert again.num_rows == whole.num_rows
    assert plain(again).equals(plain(whole))
    assert again["ts"].num_chunks > 10


def test_sorted_by_series_and_time(reader, scratch):
    table = read(reader, scratch, EVERYTHING)
    ids, at_ms = table["series_id"].to_pylist(), table["ts"].cast(pa.int64()).to_pylist()
    keys = list(zip(ids, at_ms, strict=True))
    assert keys == sorted(keys)
    assert len(set(keys)) == len(keys)


def test_day_is_half_open_and_looks_back(reader, url, scratch):
    table = read(reader, scratch, '{__name__=~"app_(before|edge|next)"}')
    steps: dict[str, list[int]] = {}
    for name, at in zip(
        table["metric"].to_pylist(), table["ts"].cast(pa.int64()).to_pylist(), strict=True
    ):
        steps.setdefault(name, []).append((at - DAY.start_ms) // 15_000)
    assert steps["app_before"] == list(range(20))  # until 5 minutes after it
    # Prometheus 2 looks back 5 minutes, 3 a ms less; its other sample is after the last step.
    assert steps["app_edge"] == list(range(len(asked_directly(url, "app_edge"))))
    assert len(steps["app_edge"]) in (20, 21)
    assert "app_next" not in steps


def test_columns_follow_names(reader, scratch):
    table = read(reader, scratch, "app_requests_total")
    assert table.schema.names == [*FIXED, "job", "method", "path", "zone", "labels"]
    maps = {tuple(sorted(entries)) for entries in table["labels"].to_pylist()}
    in_map = {"Zone": "kr", "day": "mon", "value": "v", "ts": "t"}
    in_map |= {"series_id": "i", "labels": "l", "metric": "m"}
    assert maps == {(), tuple(sorted(in_map.items()))}
    assert table["labels"].null_count == 0


def test_no_samples_give_the_schema(reader, scratch):
    table = read(reader, scratch, '{__name__="nothing_of_that_name"}')
    assert table.num_rows == 0
    assert table.schema.names == [*FIXED, "labels"]
    assert reader.count(dataset('{__name__="nothing_of_that_name"}'), DAY).rows == 0


@pytest.mark.parametrize("step", ["100ms", "5s", "7s", "7m", "1d"])
def test_steps_of_any_length(reader, scratch, step):
    query = '{__name__="app_many_3"}'
    table = read(reader, scratch, query, step=step)
    step_ms = dataset(query, step=step).step_ms
    born = DAY.start_ms + 3 * 600_123
    steps = range(DAY.start_ms, DAY.end_ms, step_ms)
    expected = [at for at in steps if born <= at <= born + 300_000]
    assert table["ts"].cast(pa.int64()).to_pylist() == expected
    assert reader.count(dataset(query, step=step), DAY).rows == len(expected)


def test_names_are_found_by_shards(reader, scratch):
    table = read(reader, scratch, '{__name__=~"app_many_.*"}')
    assert set(table["metric"].to_pylist()) == {f"app_many_{n}" for n in range(MANY_NAMES)}


@pytest.mark.parametrize("query", ["sum(", '{job="t"', "rate(app_odd)", "app_odd[5m]", '"text"'])
def test_wrong_query_says_what_the_server_says(reader, scratch, query):
    for ask in (lambda: read(reader, scratch, query), lambda: reader.count(dataset(query), DAY)):
        with pytest.raises(Refused) as caught:
            ask()
        text = str(caught.value)
        assert "dataset t" in text
        assert "error" in text or "invalid" in text
        assert "lake.toml" in text


def test_query_bound_to_its_window_is_not_cut(reader, url, scratch):
    query = "app_requests_total @ end()"
    assert as_asked(read(reader, scratch, query)) == asked_directly(url, query)
    with pytest.raises(Refused, match="can't be split in parts"):
        read(reader, scratch, query, step="1s")
    with pytest.raises(Refused, match="can't be split in parts"):
        reader.count(dataset(query, step="1s"), DAY)


@pytest.mark.parametrize("target", [150_000, 2000])
def test_raw_samples_are_those_that_were_written(reader, scratch, monkeypatch, target):
    monkeypatch.setattr(plan, "_TARGET_SAMPLES", target)
    written = {}
    for line in history():
        name, value, seconds = line.split("{")[0], *line.rsplit(" ", 2)[1:]
        at_ms = int(Decimal(seconds) * 1000)
        if DAY.start_ms <= at_ms < DAY.end_ms:
            written.setdefault(name, []).append((at_ms, comparable(float(value))))
    rows = as_asked(read(reader, scratch, EVERYTHING, mode="raw"))
    samples = {}
    for labels, at_ms, value in rows:
        samples.setdefault(dict(labels)["__name__"], []).append((at_ms, value))
    assert {name: sorted(values) for name, values in samples.items()} == {
        name: sorted(values) for name, values in written.items()
    }
    assert reader.count(dataset(EVERYTHING, mode="raw"), DAY).rows == len(rows)


def test_raw_day_is_half_open_to_the_ms(reader, scratch):
    for name, times in (
        ("app_edge", [DAY.start_ms, DAY.end_ms - 1]),
        ("app_next", []),
        ("app_before", []),
    ):
        table = read(reader, scratch, name, mode="raw")
        assert table["ts"].cast(pa.int64()).to_pylist() == times
        assert reader.count(dataset(name, mode="raw"), DAY).rows == len(times)
    day_before = dataset("app_edge", mode="raw")
    assert reader.count(day_before, DAY.plus(-1)).rows == 0
    assert reader.count(day_before, DAY.plus(1)).rows == 0


def test_no_server_is_an_error_that_names_it(scratch):
    reader = PrometheusReader(PrometheusSource(url="http://127.0.0.1:9/prefix"))
    reader._http._pause = lambda _: None
    with pytest.raises(Exception, match=r"127\.0\.0\.1:9/prefix"):
        read(reader, scratch, EVERYTHING)


def test_parquet_is_laid_out_for_series(reader, scratch, tmp_path):
    path = tmp_path / "data.parquet"
    with (
        reader.read(dataset(EVERYTHING), DAY, scratch) as stream,
        path.open("wb") as file,
    ):
        written = write_parquet(stream, file)
    group = pq.ParquetFile(path).metadata.row_group(0)
    encodings = {
        group.column(i).path_in_schema: group.column(i).encodings for i in range(group.num_columns)
    }
    assert "DELTA_BINARY_PACKED" in encodings["ts"]
    assert "BYTE_STREAM_SPLIT" in encodings["value"]
    for name in ("series_id", "metric", "job", "path"):
        assert "RLE_DICTIONARY" in encodings[name]
    row = (
        duckdb.connect()
        .sql(
            "SELECT count(*), count(DISTINCT series_id), max(epoch_ms(ts)), "
            "count(*) FILTER (labels['Zone'] = 'kr') > 0 FROM read_parquet(?)",
            params=[str(path)],
        )
        .fetchone()
    )
    assert row == (written.rows, 15 + MANY_NAMES, DAY.end_ms - 15_000, True)
