"""Native histograms, exported raw, held against the query API's own account of them."""

from __future__ import annotations

import random

import pytest
import requests
from support.raw_days import DAY, STALE, bits, double, fresh_metric
from support.remote_writing import floats, histogram, series, write


def answered(url, metric):
    """(ms, count, sum, buckets) as a range vector tells them."""
    answer = requests.get(
        f"{url}/api/v1/query", {"query": f"{metric}[1d]", "time": DAY.end_ms / 1000 - 0.001},
        timeout=30,
    ).json()  # fmt: skip
    return histograms_of(answer)


def histograms_of(answer):
    assert answer["status"] == "success", answer
    return {
        entry["metric"].get("case", ""): [
            (round(at * 1000), float(h["count"]), repr(float(h["sum"])),
             [(float(low), float(high), float(n), edge) for edge, low, high, n in
              h.get("buckets", [])])
            for at, h in entry.get("histograms", [])
        ]
        for entry in answer["data"]["result"]
    }  # fmt: skip


def answered_one_by_one(url, metric, times):
    """The same by a range for each time: 2.53 repeats histograms in a range with floats."""
    by_case = {}
    for at in times:
        answer = requests.get(
            f"{url}/api/v1/query", {"query": f"{metric}[1s]", "time": at / 1000}, timeout=30
        ).json()
        for case, rows in histograms_of(answer).items():
            by_case.setdefault(case, []).extend(rows)
    return by_case


def exported(table):
    by_case = {}
    for row, at in zip(
        table.drop_columns("ts").to_pylist(), table["ts"].cast("int64").to_pylist(), strict=True
    ):
        if (native := row["histogram"]) is not None:
            assert (row["value"], row["nan"]) == (None, None)
            buckets = [tuple(b[k] for k in ("lower", "upper", "count", "bounds"))
                       for b in native["buckets"]]  # fmt: skip
            by_case.setdefault(row["case"], []).append(
                (at, native["count"], repr(native["sum"]), buckets)
            )
    return by_case


def histograms(luck, *, is_float, schema, zero_threshold=0.001):
    """One histogram after another, of a few layouts, most growing, some starting anew."""
    spans = {
        "positive_spans": [(luck.randrange(-20, 20), luck.randrange(1, 6)),
                           (luck.randrange(0, 4), luck.randrange(1, 4))],
        "negative_spans": [(luck.randrange(-5, 5), luck.randrange(0, 3))],
    }  # fmt: skip
    positive = [0] * sum(length for _, length in spans["positive_spans"])
    negative = [0] * sum(length for _, length in spans["negative_spans"])
    zeros, total = 0, 0.0
    for _ in range(luck.randrange(150, 300)):
        if luck.random() < 0.02:
            positive, negative, zeros, total = [0] * len(positive), [0] * len(negative), 0, 0.0
        grown = [luck.choice([0, 0, 1, 3, 70, 5000]) for _ in positive]
        positive = [a + b for a, b in zip(positive, grown, strict=True)]
        negative = [n + luck.choice([0, 0, 1]) for n in negative]
        zeros += luck.choice([0, 0, 2])
        total += luck.gauss(3, 2)
        native = {
            **spans, "schema": schema, "zero_threshold": zero_threshold, "is_float": is_float,
            "positive": positive, "negative": negative, "zeros": zeros, "sum": total,
            "count": sum(positive) + sum(negative) + zeros,
        }  # fmt: skip
        if is_float:
            for name in ("positive", "negative"):
                native[name] = [n / 4 for n in native[name]]  # a binary fraction: sums stay exact
            native["zeros"], native["count"] = zeros / 4, native["count"] / 4
        yield native


@pytest.mark.parametrize("is_float", [False, True], ids=["integers", "floats"])
def test_histograms_are_those_of_the_query_api(in_order_url, export, is_float):
    metric, luck = fresh_metric(), random.Random(11 + is_float)
    for schema in range(-4, 9):
        at, content = DAY.start_ms - 300_000, b""
        threshold = luck.choice([0.0, 2.0**-128, 0.001, 0.25])
        for native in histograms(luck, is_float=is_float, schema=schema, zero_threshold=threshold):
            content += histogram(at, native)
            at += 60_000 + luck.randrange(-900, 900)
        write(in_order_url, series({"__name__": metric, "case": str(schema)}, content))
    table, details = export(in_order_url, metric)
    assert details["read_by"] == "remote read, chunks"
    expected = answered(in_order_url, metric)
    assert len(expected) == 13
    assert exported(table) == expected


def test_bounds_of_every_bucket_index(in_order_url, export):
    """The lowest and highest buckets, infinities' too, of each schema."""
    metric = fresh_metric()
    for schema in (-4, -1, 0, 1, 3, 8):
        per_octave = 2.0**schema
        last = int(1024 * per_octave)
        first = int(-1073 * per_octave)
        native = {
            "schema": schema, "zero_threshold": 0.0, "zeros": 0, "sum": 1.0,
            "positive_spans": [(first, 2), (last - first - 2, 2)], "positive": [1, 2, 3, 4],
            "negative_spans": [(last, 2)], "negative": [5, 6], "count": 21,
        }  # fmt: skip
        write(in_order_url, series({"__name__": metric, "case": str(schema)},
                              histogram(DAY.start_ms, native)))  # fmt: skip
    table, _ = export(in_order_url, metric)
    assert exported(table) == answered(in_order_url, metric)


def test_floats_between_histograms_and_stale_ones(in_order_url, export):
    """A series that changes its kind, ends, and comes again."""
    metric, luck = fresh_metric(), random.Random(1)
    each = list(histograms(luck, is_float=False, schema=3))[:40]
    gone = {**each[0], "sum": double(STALE), "positive": [], "negative": [], "zeros": 0,
            "count": 0, "positive_spans": [], "negative_spans": []}  # fmt: skip
    labels = {"__name__": metric, "case": "a"}
    at = DAY.start_ms
    for number, native in enumerate(each):
        if number % 13 == 12:
            write(in_order_url, series(labels, histogram(at, gone)))
        elif number % 7 == 3:
            write(in_order_url, series(labels, floats([(at, bits(float(number)))])))
        else:
            write(in_order_url, series(labels, histogram(at, native)))
        at += 60_000
    table, details = export(in_order_url, metric)
    assert exported(table) == answered_one_by_one(
        in_order_url, metric, range(DAY.start_ms, at, 60_000)
    )
    rows = table.select(["value", "nan"]).to_pylist()
    assert [row["value"] for row in rows if row["value"] is not None] == [3.0, 10.0, 17.0, 24.0,
                                                                         31.0]  # fmt: skip
    assert [number for number, row in enumerate(rows) if row["nan"] == "stale"] == [12, 25, 38]
    assert details["stale_markers"] == 3
    assert len(rows) == 40


def test_custom_bounds(version, in_order_url, export):
    if version == "prometheus":
        pytest.skip("2.42 knows no custom bounds")
    metric = fresh_metric()
    content, at = b"", DAY.start_ms
    for number in range(1, 30):
        native = {
            "schema": -53, "zero_threshold": 0.0, "zeros": 0, "sum": float(number),
            "positive_spans": [(0, 2), (1, 1)], "positive": [number, 2 * number, number // 9],
            "negative_spans": [], "negative": [], "count": 3 * number + number // 9,
            "custom": [0.005, 1.0, 1 / 3 + 1],
        }  # fmt: skip
        content += histogram(at, native)
        at += 15_000
    answer = write(in_order_url, series({"__name__": metric, "case": "a"}, content))
    assert answer is None
    table, _ = export(in_order_url, metric)
    assert exported(table) == answered(in_order_url, metric)
