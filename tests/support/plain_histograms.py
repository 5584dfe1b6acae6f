"""Native histograms in plain Python: made of observations, summed up bucket by bucket.

Belongs here: what a sample's buckets are, what a rollup has to hold of them. Does not: any code of
the lake.
"""

from __future__ import annotations

import math
from bisect import bisect_left
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

Bucket = tuple[float, float, float]
"""Lower and upper bound, number."""


@dataclass(frozen=True)
class Histogram:
    count: float
    sum: float
    buckets: tuple[Bucket, ...] = ()


@dataclass(frozen=True)
class Exponential:
    """Buckets of a schema beside a zero bucket."""

    schema: int
    zero_threshold: float

    def bucket(self, value: float) -> tuple[float, float]:
        zero = self.zero_threshold
        if abs(value) <= zero:
            return 0.0 - zero, zero
        per_octave = 2.0**self.schema
        index = math.ceil(round(math.log2(abs(value)) * per_octave, 9))
        low, high = (2.0 ** (i / per_octave) for i in (index - 1, index))
        low = max(low, zero)
        return (low, high) if value > 0 else (-high, -low)


@dataclass(frozen=True)
class Custom:
    """Buckets with bounds of their own."""

    bounds: tuple[float, ...]

    def bucket(self, value: float) -> tuple[float, float]:
        at = bisect_left(self.bounds, value)
        edges = (-math.inf, *self.bounds, math.inf)
        return edges[at], edges[at + 1]


def observed(
    values: Sequence[float], layout: Exponential | Custom, weight: float = 1.0
) -> Histogram:
    """NaN is counted, and in no bucket."""
    counts = Counter(layout.bucket(value) for value in values if not math.isnan(value))
    buckets = tuple((*bounds, weight * number) for bounds, number in sorted(counts.items()))
    return Histogram(weight * len(values), weight * sum(values), buckets)


def holds(outer: Bucket, inner: Bucket) -> bool:
    """[0, 0] is in none that only begins or ends there."""
    if outer[:2] == inner[:2]:
        return True
    inside = outer[0] <= inner[0] and inner[1] <= outer[1]
    return inside and outer[0] < inner[1] and inner[0] < outer[1]


def step(before: Histogram, after: Histogram) -> tuple[bool, list[Bucket]]:
    """Whether it was reset, and what each bucket grew by."""
    grown = []
    homeless = any(not any(holds(a, b) for a in after.buckets) for b in before.buckets)
    for low, high, number in after.buckets:
        inside = [b[2] for b in before.buckets if holds((low, high, number), b)]
        grown.append((low, high, number - sum(inside)))
    reset = after.count < before.count or homeless or any(bucket[2] < 0 for bucket in grown)
    return reset, list(after.buckets) if reset else grown


def merged(buckets: Sequence[Bucket]) -> list[Bucket]:
    """Those that overlap as one, until none do."""
    parts = list(buckets)
    while True:
        for n, a in enumerate(parts):
            for m in range(n + 1, len(parts)):
                b = parts[m]
                if a[:2] == b[:2] or (a[0] < b[1] and b[0] < a[1]):
                    parts[n] = (min(a[0], b[0]), max(a[1], b[1]), a[2] + b[2])
                    del parts[m]
                    break
            else:
                continue
            break
        else:
            return sorted(parts)


def summed(samples: Sequence[tuple[int, Histogram]]) -> dict[str, Any]:
    """Of one series and hour, by time in ms: what `histogram` of the rollup's row has."""
    histograms = [histogram for _, histogram in samples]
    (first_ts, first), (last_ts, last) = samples[0], samples[-1]
    resets, by_count, by_sum = 0, 0.0, 0.0
    entries: list[Bucket] = []
    for before, after in pairwise(histograms):
        reset, grown = step(before, after)
        resets += reset
        by_count += after.count if reset else after.count - before.count
        by_sum += after.sum if reset else after.sum - before.sum
        entries += [bucket for bucket in grown if bucket[2] != 0]
    return {
        "samples": len(samples),
        "first_ts": first_ts,
        "last_ts": last_ts,
        "first_count": first.count,
        "last_count": last.count,
        "first_sum": _number(first.sum),
        "last_sum": _number(last.sum),
        "count_increase": by_count,
        "sum_increase": _number(by_sum),
        "resets": resets,
        "first_buckets": list(first.buckets),
        "last_buckets": list(last.buckets),
        "bucket_increase": merged(entries),
    }


def _number(value: float) -> float | None:
    return None if math.isnan(value) else value
