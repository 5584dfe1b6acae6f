"""A quarter of a small real service: its samples, log lines and documents, day by day.

Belongs here: what the three systems hold, by size. Does not: getting it into a server or a lake
(quarter_lake). The same size gives the same data.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from lake.base.day import Day
from lake.systems.labels import labels_id, series_id
from lake.systems.loki.reading.answer import ROWS
from lake.systems.prometheus.reading.blocks import Block

STEP_MS = 15_000
SAMPLES_A_DAY = 86_400_000 // STEP_MS
METRIC = "http_server_requests_seconds_count"
BUCKETS = "http_server_requests_seconds_bucket"
_OUTCOMES = (("200", "SUCCESS"), ("404", "CLIENT_ERROR"), ("500", "SERVER_ERROR"))
_SPEEDS = (2.0, 0.05, 0.02)  # requests in a step, by outcome
# Of the latency's histogram: bounds, and a bucket's share of the requests.
_BOUNDS = ("0.01", "0.025", "0.05", "0.1", "0.25", "0.5", "1.0", "2.5", "5.0", "+Inf")
_SHARES = (0.02, 0.08, 0.15, 0.25, 0.25, 0.13, 0.07, 0.035, 0.01, 0.005)
_TARGET_SPEED = 8.0  # requests of a target in a step
_CONTAINERS = tuple(f"miyou-{name}" for name in ("api", "pipeline", "tts", "nginx", "worker"))
_LEVELS = (("info", 0.9), ("warn", 0.07), ("error", 0.03))
_MODELS = ("gpt-4o", "gpt-4o-mini", "claude", "gemini", "llama")
_BLOCK_SERIES = 100
_LINE_ROWS = 65_536


@dataclass(frozen=True)
class Size:
    """How much a quarter holds."""

    first: Day
    days: int = 90
    series: int = 300
    lines: int = 10_000_000
    documents: int = 1_000_000
    targets: int = 0  # with a histogram of latency each

    def each_day(self) -> Iterator[tuple[int, Day]]:
        """Number and day."""
        for number in range(self.days):
            yield number, self.first.plus(number)


class Counters:
    """Counters that run on from day to day; one in twenty is reset at noon of every ninth day."""

    def __init__(self, series: int, targets: int = 0) -> None:
        labels = [_labels(number) for number in range(series)]
        labels += [_bucket_labels(target, le) for target in range(targets) for le in _BOUNDS]
        ids = [series_id(label, label["__name__"]) for label in labels]
        order = np.argsort(np.array(ids, np.int64))
        self._ids = np.array(ids, np.int64)[order]
        self._labels = [labels[at] for at in order.tolist()]
        speeds = [_SPEEDS[at % len(_SPEEDS)] if at < series else 0.0 for at in order.tolist()]
        self._speeds = np.array(speeds)
        self._totals = np.zeros(len(labels))
        self._targets = targets
        self._buckets = order - series  # the number of a histogram's bucket; below 0 of others

    @property
    def names(self) -> set[str]:
        """The labels' names."""
        return {name for labels in self._labels for name in labels}

    def blocks(self, number: int, day: Day) -> Iterator[Block]:
        """One day's samples; days are taken in their order."""
        times = day.start_ms + 3217 + np.arange(SAMPLES_A_DAY, dtype=np.int64) * STEP_MS
        luck = np.random.default_rng(number)
        in_buckets = self._in_buckets(number)
        for begin in range(0, len(self._ids), _BLOCK_SERIES):
            end = min(begin + _BLOCK_SERIES, len(self._ids))
            steps = luck.poisson(self._speeds[begin:end, None], (end - begin, SAMPLES_A_DAY))
            buckets = self._buckets[begin:end]
            steps[buckets >= 0] = in_buckets[buckets[buckets >= 0]]
            values = self._totals[begin:end, None] + np.cumsum(steps, axis=1)
            if number % 9 == 8:
                noon = SAMPLES_A_DAY // 2
                reset = (np.arange(begin, end) % 20 == 0) & (buckets < 0)
                values[reset, noon:] -= values[reset, noon][:, None]
            self._totals[begin:end] = values[:, -1]
            yield Block(
                self._ids[begin:end], self._labels[begin:end],
                np.full(end - begin, SAMPLES_A_DAY, np.int64),
                np.tile(times, end - begin), values.ravel(),
            )  # fmt: skip

    def _in_buckets(self, number: int) -> npt.NDArray[np.int64]:
        """Requests up to each bound in each step: a row a target and bound."""
        luck = np.random.default_rng([number, 1])
        speeds = _TARGET_SPEED * np.array(_SHARES)[:, None]
        steps = luck.poisson(speeds, (self._targets, len(_BOUNDS), SAMPLES_A_DAY))
        return np.cumsum(steps, axis=1).reshape(-1, SAMPLES_A_DAY)


def _bucket_labels(target: int, le: str) -> dict[str, str]:
    return {
        "__name__": BUCKETS, "application": "miyou", "instance": f"10.0.0.{target}:8080",
        "job": "miyou", "le": le,
    }  # fmt: skip


def _labels(number: int) -> dict[str, str]:
    status, outcome = _OUTCOMES[number % len(_OUTCOMES)]
    place = number // len(_OUTCOMES)
    return {
        "__name__": METRIC, "application": "miyou", "exception": "none",
        "instance": f"10.0.0.{place % 4}:8080", "job": "miyou",
        "method": ("GET", "POST")[place % 2],
        "outcome": outcome, "status": status, "uri": f"/api/v1/dialogue/{place // 4:04d}",
    }  # fmt: skip


def streams() -> dict[int, dict[str, str]]:
    """Each stream's labels by its id."""
    label_sets = [
        {"container": container, "level": level, "service": "miyou"}
        for container in _CONTAINERS
        for level, _ in _LEVELS
    ]
    return {labels_id(labels): labels for labels in label_sets}


def lines(size: Size, number: int, day: Day) -> Iterator[pa.RecordBatch]:
    """One day's log lines, by stream and time."""
    shares = dict(_LEVELS)
    of_container = size.lines // size.days // len(_CONTAINERS)
    for stream, labels in sorted(streams().items()):
        count = int(of_container * shares[labels["level"]])
        luck = np.random.default_rng([number, stream & 0xFFFF])
        times = np.sort(luck.integers(0, 86_400_000_000_000, count)) + day.start_ns
        took, request = luck.integers(1, 4000, count), luck.integers(0, 1 << 48, count)
        for begin in range(0, count, _LINE_ROWS):
            part = slice(begin, begin + _LINE_ROWS)
            texts = [
                f'{{"level":"{labels["level"]}","logger":"miyou.dialogue.Pipeline",'
                f'"message":"request finished","requestId":"{request_id:012x}","durationMs":{ms}}}'
                for request_id, ms in zip(request[part].tolist(), took[part].tolist(), strict=True)
            ]
            yield pa.record_batch(
                [
                    pa.array(np.full(len(texts), stream, np.int64)),
                    pa.array(times[part]),
                    pa.array(texts),
                    pa.array([[]] * len(texts), ROWS.field("metadata").type),
                ],
                schema=ROWS,
            )


def documents(size: Size, number: int, day: Day) -> Iterator[dict[str, Any]]:
    """One day's documents of usage_analytics, by time."""
    from bson import ObjectId  # noqa: PLC0415

    count = size.documents // size.days
    luck = np.random.default_rng(number)
    offsets = np.sort(luck.integers(0, 86_400_000, count)).tolist()
    latencies = np.exp(luck.normal(7, 0.6, count)).astype(np.int64).tolist()
    tokens, users = luck.integers(50, 4000, count).tolist(), luck.integers(0, 5000, count).tolist()
    models, failed = luck.integers(0, len(_MODELS), count).tolist(), (luck.random(count) < 0.01)
    start = datetime(1970, 1, 1, tzinfo=UTC) + timedelta(milliseconds=day.start_ms)
    for at in range(count):
        document = {
            "_id": ObjectId((number << 32 | at).to_bytes(12, "big")),
            "timestamp": start + timedelta(milliseconds=offsets[at]),
            "requestId": f"{number:03d}-{at:07d}",
            "userId": f"user-{users[at]}",
            "llm": {
                "model": _MODELS[models[at]], "promptTokens": tokens[at] // 2,
                "completionTokens": tokens[at] - tokens[at] // 2, "totalTokens": tokens[at],
            },
            "response": {"totalLatencyMs": latencies[at]},
            "cost": {"llmCredits": tokens[at] / 400, "totalCredits": tokens[at] / 400},
        }  # fmt: skip
        if failed[at]:
            document["error"] = {"code": "LLM_TIMEOUT", "stage": "LLM", "message": "timed out"}
        yield document
