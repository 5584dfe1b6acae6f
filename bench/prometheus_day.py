"""A day of samples in a real Prometheus, for the benchmarks that read it.

Belongs here: made-up series and their way into the server. Does not: reading them.
"""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping, Sequence

import numpy as np
import pyarrow as pa
import requests

from lake.base.day import Day
from lake.base.protobuf import field, varint

STEP_MS = 15_000
SAMPLES = 86_400_000 // STEP_MS
# Protobuf of a sample: tag 2, length 16, value (tag 1, eight bytes), timestamp (tag 2, varint).
_SAMPLE = np.dtype(
    [("tag", "u1"), ("len", "u1"), ("v", "u1"), ("value", "<f8"), ("t", "u1"), ("ts", "u1", (6,))]
)


def integer_counters(series: int, seed: int = 1) -> Iterator[np.ndarray]:
    """Counters that grow by 0 to 50 a scrape, each at a speed of its own; some are reset."""
    luck = np.random.default_rng(seed)
    for number in range(series):
        values = np.cumsum(luck.poisson(luck.choice([0.02, 0.3, 2, 10, 25]), SAMPLES))
        if number % 20 == 0:
            values[SAMPLES // 2 :] -= values[SAMPLES // 2]
        yield values.astype(np.float64)


def labels_of(number: int, metrics: int = 10) -> dict[str, str]:
    """Ten labels, as a Spring Boot service has them."""
    return {
        "__name__": f"bench_requests_{number % metrics}_total",
        "application": "miyou",
        "exception": "none",
        "instance": f"10.0.0.{number % 8}:8080",
        "job": "miyou",
        "method": ("GET", "POST")[number % 2],
        "outcome": "SUCCESS",
        "status": "200",
        "uri": f"/api/v1/dialogue/{number:05d}",
        "zone": "ap-northeast-2",
    }


def scrape_times(day: Day) -> np.ndarray:
    """Milliseconds; the first one 3.217 s into the day."""
    return day.start_ms + 3217 + np.arange(SAMPLES, dtype=np.int64) * STEP_MS


def load_day(
    url: str,
    day: Day,
    values: Iterator[np.ndarray],
    *,
    metrics: int = 10,
    times: np.ndarray | None = None,
    labels: Sequence[Mapping[str, str]] | None = None,
) -> int:
    """Writes one series an array by remote write, all of one day; returns the samples."""
    times = scrape_times(day) if times is None else times
    snappy, total, parts, held = pa.Codec("snappy"), 0, [], 0
    written = 0
    for number, array in enumerate(values):
        own = labels[number] if labels else labels_of(number, metrics)
        body = _labels(own) + _samples(times[: len(array)], array)
        parts.append(b"\x0a" + varint(len(body)) + body)
        held, total, written = held + len(body), total + len(array), written + 1
        if held > 16 << 20:
            _send(url, snappy.compress(b"".join(parts), asbytes=True))
            parts, held = [], 0
    if parts:
        _send(url, snappy.compress(b"".join(parts), asbytes=True))
    return total


def _send(url: str, body: bytes) -> None:
    headers = {
        "Content-Encoding": "snappy",
        "Content-Type": "application/x-protobuf",
        "X-Prometheus-Remote-Write-Version": "0.1.0",
    }
    for _ in range(5):
        answer = requests.post(f"{url}/api/v1/write", data=body, headers=headers, timeout=120)
        if answer.status_code < 500:
            answer.raise_for_status()
            return
        time.sleep(1)
    answer.raise_for_status()


def _labels(labels: Mapping[str, str]) -> bytes:
    return b"".join(
        field(0x0A, field(0x0A, name.encode()) + field(0x12, value.encode()))
        for name, value in sorted(labels.items())
    )


def _samples(times: np.ndarray, values: np.ndarray) -> bytes:
    made = np.zeros(len(times), _SAMPLE)
    made["tag"], made["len"], made["v"], made["value"] = 0x12, 16, 0x09, values
    made["t"] = 0x10
    for byte in range(6):  # a time of our days takes six bytes of seven bits
        made["ts"][:, byte] = (times >> (7 * byte)) & 0x7F | (0x80 if byte < 5 else 0)
    return made.tobytes()
