"""Native histograms by range queries, held against the server's answers read by other means."""

from __future__ import annotations

import math
from decimal import Decimal

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import requests
from support.raw_days import DAY, bits, fresh_metric
from support.remote_writing import floats, histogram, series, write

from lake.partition.parquet import write_parquet
from lake.systems.prometheus.config import PrometheusDataset, PrometheusSource
from lake.systems.prometheus.reading import PrometheusReader

STEP_MS = 60_000
FIRST_MS = DAY.start_ms + 7_000


def growing(number: int, at: int) -> dict[str, object]:
    return {
        "schema": 3 - number, "zero_threshold": 0.001, "sum": number + at / 7,
        "positive_spans": [(number, 2), (3, 1)], "negative_spans": [(0, 1)],
        "positive": [at, 2 * at, at // 3], "negative": [at // 5], "zeros": number,
        "count": at + 2 * at + at // 3 + at // 5 + number,
    }  # fmt: skip


@pytest.fixture(scope="module")
def metric(in_order_url):
    """Three series of histograms; the last one is floats for half an hour, then neither."""
    name = fresh_metric()
    for at in range(0, 120, 1):
        at_ms = FIRST_MS + at * STEP_MS
        written = []
        for number in range(3):
            labels = {"__name__": name, "case": str(number), "job": "h"}
            if number == 2 and at > 90:
                continue
            if number == 2 and 30 <= at < 60:
                number_bits = bits(at / 3)
                written.append(series(labels, floats([(at_ms, number_bits)])))
            else:
                written.append(series(labels, histogram(at_ms, growing(number, at))))
        write(in_order_url, *written)
    return name


@pytest.fixture
def read(in_order_url, tmp_path):
    reader = PrometheusReader(PrometheusSource(url=in_order_url))

    def run(query: str) -> pa.Table:
        chosen = PrometheusDataset(name="h", source="prometheus", query=query, step="30s")
        path = tmp_path / "day.parquet"
        with reader.read(chosen, DAY, tmp_path) as stream, path.open("wb") as file:
            written = write_parquet(stream, file)
        assert reader.count(chosen, DAY).rows == written.rows
        return pq.ParquetFile(path).read()

    yield run
    reader.close()


def matrix(url: str, query: str) -> list[dict[str, object]]:
    params = {"query": query, "start": DAY.start_ms / 1000, "step": 30,
              "end": DAY.end_ms / 1000 - 30}  # fmt: skip
    answer = requests.get(f"{url}/api/v1/query_range", params, timeout=60)
    return answer.json(parse_float=Decimal)["data"]["result"]


def rows_of(table: pa.Table) -> list[dict[str, object]]:
    at_ms = table["ts"].cast(pa.int64()).to_pylist()
    rows = table.drop_columns("ts").to_pylist()
    return [row | {"ms": at} for row, at in zip(rows, at_ms, strict=True)]


@pytest.mark.parametrize("form", ["{}", '{{job="h",__name__="{}"}}', '{}{{case="2"}}'])
def test_histograms_are_those_of_the_json_answer(in_order_url, metric, read, form):
    query = form.format(metric)
    expected = {}
    for entry in matrix(in_order_url, query):
        for at, value in entry.get("values", ()):
            expected[entry["metric"]["case"], int(at * 1000)] = float(value)
        for at, native in entry.get("histograms", ()):
            buckets = [
                {"bounds": edge, "lower": float(low), "upper": float(high), "count": float(n)}
                for edge, low, high, n in native.get("buckets", ())
            ]
            counts = {name: float(native[name]) for name in ("count", "sum")}
            expected[entry["metric"]["case"], int(at * 1000)] = counts | {"buckets": buckets}
    native = {}
    for row in rows_of(read(query)):
        assert row["nan"] is None
        assert (row["value"] is None) != (row["histogram"] is None)
        given = row["histogram"] or row["value"]
        native[row["case"], row["ms"]] = 0.0 if given is None else given
    assert len(native) > 100
    assert native == expected


@pytest.mark.parametrize("function", ["count", "sum"])
def test_histograms_agree_with_the_engines_functions(in_order_url, metric, read, function):
    answers = {
        (entry["metric"]["case"], int(at * 1000)): float(value)
        for entry in matrix(in_order_url, f"histogram_{function}({metric})")
        for at, value in entry["values"]
    }
    exported = {
        (row["case"], row["ms"]): row["histogram"][function]
        for row in rows_of(read(metric))
        if row["histogram"] is not None
    }
    assert exported == answers


def test_an_expression_of_histograms(in_order_url, metric, read):
    table = read(f'sum by (job) (rate({metric}{{case!="2"}}[5m]))')
    expected = [
        (int(at * 1000), float(native["count"]), float(native["sum"]))
        for entry in matrix(in_order_url, f'sum by (job) (rate({metric}{{case!="2"}}[5m]))')
        for at, native in entry["histograms"]
    ]
    rows = rows_of(table)
    exported = [(row["ms"], row["histogram"]["count"], row["histogram"]["sum"]) for row in rows]
    assert len(exported) > 100
    assert exported == expected
    assert {(row["job"], row["metric"]) for row in rows} == {("h", None)}
    quantile = f'histogram_quantile(0.9, sum(rate({metric}{{case!="2"}}[5m])))'
    quantiles = [(int(at * 1000), float(v)) for entry in matrix(in_order_url, quantile)
            for at, v in entry["values"]]  # fmt: skip
    got = [(row["ms"], row["value"]) for row in rows_of(read(quantile))]
    assert got == quantiles
    assert not any(math.isnan(value) for _, value in quantiles)
