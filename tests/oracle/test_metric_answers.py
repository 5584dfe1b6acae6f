"""SQL over the metric tables answers as PromQL does: sums, counts and maxima, by label."""

from __future__ import annotations

import math
import struct
import uuid
from collections.abc import Iterator
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
import requests
from hypothesis import given
from hypothesis import strategies as st
from support.lakes import differences, examples, exported
from support.series_writing import write_request

from lake.base.day import Day
from lake.servers import start

DAY = Day.parse("2026-03-02")
STEP_MS = 300_000
STALE = struct.unpack("<d", struct.pack("<Q", 0x7FF0000000000002))[0]

_VALUES = st.one_of(
    st.integers(-1000, 1000).map(lambda n: n / 4),
    st.sampled_from([0.1, -0.0, 1e300, math.inf, -math.inf, math.nan, STALE]),
)
_SERIES = st.fixed_dictionaries(
    {
        "zone": st.sampled_from(["", "kr", "us"]),
        "Code": st.sampled_from(["", "200", "500"]),
        "first": st.integers(0, 86_400 - 1),
        "gap": st.sampled_from([15, 60, 299, 301, 3000]),
        "values": st.lists(_VALUES, min_size=1, max_size=40),
    }
)

# So that there is a column of each label.
_EVERY_LABEL = {"zone": "eu", "Code": "200", "first": 0, "gap": 60, "values": [1.0]}


@pytest.fixture(scope="module")
def url() -> Iterator[str]:
    """A server of its own, that takes old samples in any order."""
    with start(["prometheus"], prometheus_out_of_order="10000d") as stack:
        yield stack.endpoints["prometheus"]["url"]


def pushed(url: str, drawn: list[dict[str, Any]]) -> str:
    """The metric's name; series with equal labels are told apart by a number."""
    name = f"oracle_{uuid.uuid4().hex}"
    series = []
    for number, sample in enumerate([_EVERY_LABEL, *drawn]):
        labels = {"__name__": name, "n": str(number)}
        labels |= {label: sample[label] for label in ("zone", "Code") if sample[label]}
        times = (
            DAY.start_ms
            + (sample["first"] + sample["gap"] * np.arange(len(sample["values"]))) * 1000
        )
        series.append((labels, times, np.array(sample["values"], np.float64)))
    body = pa.Codec("snappy").compress(write_request(series), asbytes=True)
    headers = {"Content-Encoding": "snappy", "Content-Type": "application/x-protobuf"}
    requests.post(f"{url}/api/v1/write", body, headers=headers, timeout=30).raise_for_status()
    return name


def result_of(url: str, path: str, **params: object) -> list[dict[str, Any]]:
    answer = requests.get(f"{url}/api/v1/{path}", params=params, timeout=30)
    answer.raise_for_status()
    return answer.json()["data"]["result"]


def by_step(url: str, operator: str, name: str) -> dict[tuple[str, int], float]:
    """(zone, ms) → value, over all steps of the day."""
    matrix = result_of(
        url,
        "query_range",
        query=f"{operator} by (zone) ({name})",
        start=DAY.start_ms / 1000,
        end=(DAY.end_ms - STEP_MS) / 1000,
        step=STEP_MS / 1000,
    )
    return {
        (series["metric"].get("zone", ""), round(at * 1000)): float(value)
        for series in matrix
        for at, value in series["values"]
    }


_BY_STEP = """
SELECT
    coalesce(zone, '') AS zone,
    epoch_ms(ts) AS at,
    if(bool_or(nan = 'nan'), 'NaN'::DOUBLE, sum(value)) AS total,
    count(*) AS samples,
    coalesce(max(value), 'NaN'::DOUBLE) AS largest
FROM stepped_between($day, $day + 1)
GROUP BY ALL
"""


@examples(12)
@given(st.lists(_SERIES, min_size=1, max_size=6))
def test_sums_counts_and_maxima_at_each_step(url, drawn):
    name = pushed(url, drawn)
    expected = [by_step(url, operator, name) for operator in ("sum", "count", "max")]
    with exported(_datasets(url, name), [DAY]) as lake:
        rows = lake.rows(_BY_STEP, {"day": DAY.date})
    by_zone = {(r["zone"], r["at"]): (r["total"], r["samples"], r["largest"]) for r in rows}
    answers = {key: tuple(part.get(key) for part in expected) for key in expected[0]}
    assert differences(by_zone, answers) == []


@examples(12)
@given(st.lists(_SERIES, min_size=1, max_size=6))
def test_stored_samples_over_the_day(url, drawn):
    name = pushed(url, drawn)
    end = (DAY.end_ms - 1) / 1000
    expected: dict[str, list[float]] = {}
    for function in ("count_over_time", "max_over_time"):
        for series in result_of(url, "query", query=f"{function}({name}[1d])", time=end):
            expected.setdefault(series["metric"]["n"], []).append(float(series["value"][1]))
    with exported(_datasets(url, name), [DAY]) as lake:
        rows = lake.rows(
            "SELECT n, count(*) AS samples, coalesce(max(value), 'NaN'::DOUBLE) AS largest "
            "FROM stored_between($day, $day + 1) WHERE nan IS DISTINCT FROM 'stale' GROUP BY n",
            {"day": DAY.date},
        )
    by_series = {row["n"]: (row["samples"], row["largest"]) for row in rows}
    assert differences(by_series, expected) == []


def _datasets(url: str, name: str) -> str:
    return f"""
[sources.prometheus]
url = "{url}"
[hot]
prometheus = 10000
[[dataset]]
name = "stepped"
source = "prometheus"
query = "{name}"
mode = "range"
step = "{STEP_MS // 1000}s"
[[dataset]]
name = "stored"
source = "prometheus"
query = "{name}"
mode = "raw"
"""
