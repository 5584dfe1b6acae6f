"""One well-known day of samples, odd on purpose."""

from __future__ import annotations

import random
from collections.abc import Iterator
from typing import Any

from lake.base.day import Day
from lake.systems.prometheus.config import PrometheusDataset

DAY = Day.parse("2026-03-14")
ODD_VALUES = ["NaN", "+Inf", "-Inf", "-0", "5e-324", "1.7976931348623157e+308", "0.1", "1e+06"]
MANY_NAMES = 130


def _line(name: str, labels: str, value: object, at_ms: int) -> str:
    return f"{name}{{{labels}}} {value} {at_ms / 1000:.3f}"


def _counter(name: str, labels: str, seed: int, start_ms: int, end_ms: int) -> Iterator[str]:
    """Scraped about every 15 s, with a reset now and then."""
    luck = random.Random(seed)
    value, at = 0.0, start_ms
    while at < end_ms:
        value = 0.0 if luck.random() < 0.002 else value + luck.choice([0, 1, 2.5, 1 / 3])
        yield _line(name, labels, value, at)
        at += 15_000 + luck.randint(-400, 400)


def _gauge_with_gaps(start_ms: int, end_ms: int) -> Iterator[str]:
    luck = random.Random(7)
    at = start_ms
    while at < end_ms:
        yield _line("app_gappy", 'job="t"', luck.gauss(0, 1), at)
        at += luck.choice([15_000, 15_000, 15_000, 180_000, 299_999, 300_000, 1_200_000])


def _latency(start_ms: int, end_ms: int) -> Iterator[str]:
    """A classic histogram, metric by metric, as the format wants it."""
    bounds = ["0.1", "0.5", "2.5", "+Inf"]
    scrapes = range(start_ms, end_ms, 15_000)
    for place, bound in enumerate(bounds):
        for n, at in enumerate(scrapes):
            yield _line("app_latency_bucket", f'job="t",le="{bound}"', n * (place + 2) // 3, at)
    for n, at in enumerate(scrapes):
        yield _line("app_latency_count", 'job="t"', n * 5 // 3, at)
    for n, at in enumerate(scrapes):
        yield _line("app_latency_sum", 'job="t"', n * 0.37, at)


def history() -> Iterator[str]:
    begin, end = DAY.start_ms - 600_000, DAY.end_ms + 600_000
    yield _line("app_before", 'job="t"', 1, DAY.start_ms - 120_000)
    yield _line("app_before", 'job="t"', 1, DAY.start_ms - 1)
    yield _line("app_edge", 'job="t"', 1, DAY.start_ms)
    yield _line("app_edge", 'job="t"', 2, DAY.end_ms - 1)
    yield from _gauge_with_gaps(begin, end)
    for number in range(MANY_NAMES):
        at = DAY.start_ms + number * 600_123
        yield _line(f"app_many_{number}", 'job="t"', number, at)
    yield from _latency(begin, begin + 7_200_000)
    yield _line("app_next", 'job="t"', 1, DAY.end_ms)
    for number in range(200):
        value = ODD_VALUES[number % len(ODD_VALUES)]
        yield _line("app_odd", 'job="t"', value, DAY.start_ms + 3_600_000 + 61_007 * number)
    awkward = r'Zone="kr",zone="us",day="mon",value="v",ts="t",series_id="i",labels="l",metric="m"'
    path = r'path="a\"],[[1,\\\"x\\\"]]}\\ \n{,é"'
    yield from _counter("app_requests_total", f'job="t",{awkward}', 1, begin, end)
    yield from _counter("app_requests_total", f'job="t",{path}', 2, begin, end)
    yield from _counter("app_requests_total", 'job="t",method="get"', 3, begin, end)
    born, died = DAY.start_ms + 22_387_123, DAY.start_ms + 67_654_321
    yield from _counter("app_short_lived", 'job="t"', 4, born, died)
    yield from _counter("job:app:rate5m", 'job="t"', 5, begin, begin + 7_200_000)


def dataset(query: str, **options: Any) -> PrometheusDataset:
    return PrometheusDataset(name="t", source="prometheus", query=query, **options)
