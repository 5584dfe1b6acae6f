"""The samples into a real Prometheus, by remote write.

Belongs here: remote write 1.0 requests, counting what arrived. Does not: names, labels and
values (metrics).

One request holds one day: Prometheus takes a request whole or not at all, looks at the
newest sample it has before the request, and has the samples of a day in memory anyway.
"""

from __future__ import annotations

import re
import struct
from collections import Counter
from collections.abc import Callable
from functools import cache, partial

import pyarrow as pa

from lake.base.day import Day
from lake.base.protobuf import field, varint
from lake.demo.metrics import MetricsDay, SeriesDay, metrics_of
from lake.demo.scenario import Scenario
from lake.demo.settled import wait_until
from lake.http.client import Http
from lake.systems.prometheus.config import PrometheusSource

_HEADERS = {
    "Content-Encoding": "snappy",
    "Content-Type": "application/x-protobuf",
    "X-Prometheus-Remote-Write-Version": "0.1.0",
}
_LABEL = re.compile(r'(\w+)="([^"]*)"')
# Protobuf tags: field number × 8 + wire type (0 varint, 1 eight bytes, 2 with a length).
_SERIES, _LABELS, _SAMPLES = 0x0A, 0x0A, 0x12
_LABEL_NAME, _LABEL_VALUE = 0x0A, 0x12
_VALUE, _TIMESTAMP = 0x09, 0x10


def load_samples(url: str, scenario: Scenario, step: Callable[[], None]) -> tuple[int, int]:
    """Writes the window's samples, one day at a time; how many series and samples.

    Each day is acknowledged by the server. `step` is called after each day. Raises
    Incomplete when the last day does not appear; Refused or TransientError from the server.
    """
    http = Http(PrometheusSource(url=url), "prometheus")
    snappy = pa.Codec("snappy")
    series = samples = 0
    counts: Counter[str] = Counter()
    for day in metrics_of(scenario):
        body = snappy.compress(_write_request(day), asbytes=True)
        http.request("POST", "/api/v1/write", data=body, headers=_HEADERS)
        counts = Counter(one_series.name for one_series in day.series for _ in day.scrapes)
        series, samples = len(day.series), samples + day.samples
        step()
    last = scenario.end.plus(-1)
    for name, expected in counts.items():
        wait_until(expected, partial(_count, http, name, last), where=f"{url} {name} {last}")
    http.close()
    return series, samples


def _count(http: Http, name: str, day: Day) -> int:
    # One millisecond before the end: whether a range includes its start differs by version.
    params = {
        "query": f"sum(count_over_time({name}[1d]))",
        "time": f"{(day.end_ms - 1) / 1000:.3f}",
    }
    result = http.get("/api/v1/query", params).json()["data"]["result"]
    return int(result[0]["value"][1]) if result else 0


def _write_request(day: MetricsDay) -> bytes:
    times = [_sample_head(at_ms) for at_ms in day.scrapes]
    return b"".join(
        field(_SERIES, _labels(series.name, series.labels) + _samples(series, times))
        for series in day.series
    )


def _samples(series: SeriesDay, times: list[bytes]) -> bytes:
    """All of a series' samples of the day; equal values in a row are joined at once."""
    parts: list[bytes] = []
    for start, end, value in series.runs(len(times)):
        tail = bytes([_VALUE]) + struct.pack("<d", series.number(value))
        parts += (tail.join(times[start:end]), tail)
    return b"".join(parts)


def _sample_head(at_ms: int) -> bytes:
    """A sample up to its value, which follows as nine bytes."""
    timestamp = bytes([_TIMESTAMP]) + varint(at_ms)
    return bytes([_SAMPLES]) + varint(len(timestamp) + 9) + timestamp


@cache
def _labels(name: str, labels: str) -> bytes:
    pairs = sorted([("__name__", name), *_LABEL.findall(labels)])
    return b"".join(
        field(_LABELS, field(_LABEL_NAME, key.encode()) + field(_LABEL_VALUE, value.encode()))
        for key, value in pairs
    )
