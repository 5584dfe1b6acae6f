"""Strings in PromQL, as real servers read them."""

from __future__ import annotations

import pytest
import requests
from support.raw_days import DAY, bits, fresh_metric
from support.remote_writing import floats, series, write

from lake.systems.prometheus.reading.promql import quoted


@pytest.mark.parametrize(
    "text",
    [
        "\ufffd",
        "a\ufffdz",
        "\x01",
        "\x7f",
        "a\x00",
        "\u2028",
        "\U0010ffff",
        "\r\n",
        '\x01"',
        "C:\\",
    ],
)
def test_any_text_is_read_as_it_is(raw_url, text):
    metric = fresh_metric()
    for value in (text, "another"):
        write(
            raw_url, series({"__name__": metric, "v": value}, floats([(DAY.start_ms, bits(1.0))]))
        )
    query = {"query": f"{metric}{{v={quoted(text)}}}", "time": DAY.start_ms / 1000}
    answer = requests.get(f"{raw_url}/api/v1/query", query, timeout=60).json()
    assert answer["status"] == "success", answer
    assert [entry["metric"]["v"] for entry in answer["data"]["result"]] == [text]
