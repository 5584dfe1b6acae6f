"""A day of stored samples by remote read: read, and counted.

Belongs here: the steps. Does not: how each is done (asking, reading).
"""

from __future__ import annotations

import math
import struct
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa

from lake.base.day import Day
from lake.base.errors import BadData
from lake.http.client import Http
from lake.partition.table import TableStream
from lake.process.scratch import scratch_directory
from lake.systems.prometheus.config import PrometheusDataset
from lake.systems.prometheus.reading.blocks import SampleTable, label_columns
from lake.systems.prometheus.reading.plan import Window
from lake.systems.prometheus.reading.promql import exactly
from lake.systems.prometheus.reading.questions import DayQuestions
from lake.systems.prometheus.reading.remote_read.asking import RemoteRead
from lake.systems.prometheus.reading.remote_read.reading import STALE, Decide, Reading
from lake.systems.prometheus.reading.ruled import RuledLabels

_NAN = -1
_SORTED_BY = ("series_id", "ts")
HOW = {True: "remote read, chunks", False: "remote read, samples (-0 comes as 0)"}


def table_stream(
    http: Http,
    questions: DayQuestions,
    dataset: PrometheusDataset,
    day: Day,
    scratch: Path,
    ruled: RuledLabels | None = None,
) -> TableStream:
    """The day's stored samples, fetched into `scratch` until they are taken.

    Raises Unavailable where this server's remote read won't do.
    """
    remote = RemoteRead.open(http, questions.api, dataset, day)
    reading = _read(remote, questions, day, scratch, ruled)
    table = SampleTable(label_columns(reading.names))
    details: dict[str, Any] = {
        "mode": "raw",
        "read_by": HOW[remote.streamed],
        "series": len(reading),
        "requests": questions.api.tally.requests,
        "retries": questions.api.tally.retries,
        "pace": questions.api.tally.slowing.details(),
    }
    if remote.external:
        external = ruled.of(remote.external) if ruled else remote.external
        details["external_labels_left_out"] = external
    return TableStream(
        schema=table.schema,
        batches=_batches(reading, table, details),
        sorted_by=_SORTED_BY,
        encodings={"ts": "DELTA_BINARY_PACKED", "value": _encoding(reading.some_values())},
        dictionary=table.dictionary,
        details=details,
    )


def stale_markers(http: Http, questions: DayQuestions, dataset: PrometheusDataset, day: Day) -> int:
    """Number of the day's stale markers, which PromQL does not return. Raises Unavailable."""
    remote = RemoteRead.open(http, questions.api, dataset, day)
    with scratch_directory() as scratch:
        reading = _read(remote, questions, day, scratch)
        for _ in reading.blocks():
            pass
        return reading.stale


def _read(
    remote: RemoteRead,
    questions: DayQuestions,
    day: Day,
    scratch: Path,
    ruled: RuledLabels | None = None,
) -> Reading:
    names = questions.metric_names(day.start_ms, day.end_ms - 1)
    spools = remote.fetch(day, names, scratch)
    reading = Reading(spools, remote.external, day, _decider(questions), ruled)
    remote.check_names(reading.names, day)
    return reading


def _encoding(values: np.ndarray[Any, Any]) -> str:
    """Counters are smaller with their bytes apart, numbers that repeat with them together."""
    zstd = pa.Codec("zstd", 3)
    together = values.view(np.uint8)
    apart = np.ascontiguousarray(together.reshape(-1, 8).T)
    sizes = [zstd.compress(pa.py_buffer(array)).size for array in (together, apart)]
    return "PLAIN" if sizes[0] < sizes[1] else "BYTE_STREAM_SPLIT"


def _batches(
    reading: Reading, table: SampleTable, details: dict[str, Any]
) -> Iterator[pa.RecordBatch]:
    """Record batches of the table; the next one is decoded while one is written."""
    decoded = table.batches(reading.blocks())
    with ThreadPoolExecutor(1, "remote-read") as pool:
        ahead = pool.submit(next, decoded, None)
        while (batch := ahead.result()) is not None:
            ahead = pool.submit(next, decoded, None)
            yield batch
    details["stale_markers"] = reading.stale


def _decider(questions: DayQuestions) -> Decide:
    """Queries the server for which of several values it has at a time."""

    def decide(
        labels: Mapping[str, str], several: Mapping[int, Sequence[int]]
    ) -> Mapping[int, int]:
        exact = exactly(labels)
        window = Window(min(several), max(several) - min(several) + 1, 1)
        bits_at: dict[int, int] = {}
        for answer in questions.in_parts(window, partial(questions.api.range_vector, exact)):
            for series in questions.api.checked(answer.json())["data"]["result"]:
                for time, value in series.get("values", ()):
                    bits_at[round(time * 1000)] = _comparable(_bits(float(value)))
        return {
            at_ms: _chosen(exact, at_ms, candidates, bits_at.get(at_ms, STALE))
            for at_ms, candidates in several.items()
        }

    return decide


def _chosen(series: str, at_ms: int, candidates: Sequence[int], bits: int) -> int:
    """The candidate that the query API returns; it returns nothing for a stale marker."""
    for candidate in candidates:
        if _comparable(candidate) == bits:
            return candidate
    raise BadData(
        "one time has several values, none of them the query API's",
        where=series,
        expected=f"one of {[_double(value) for value in candidates]} at {at_ms} ms since 1970",
        found="NaN" if bits == _NAN else "nothing" if bits == STALE else _double(bits),
    )


def _comparable(bits: int) -> int:
    """NaN is NaN to the query API, whatever its payload."""
    return _NAN if math.isnan(_double(bits)) and bits != STALE else bits


def _bits(double: float) -> int:
    return int.from_bytes(struct.pack(">d", double))


def _double(bits: int) -> float:
    value: float = struct.unpack(">d", bits.to_bytes(8))[0]
    return value
