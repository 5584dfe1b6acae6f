"""Partitions of samples into a Prometheus, by remote write.

Belongs here: rows as samples, which series go where, the queries to the server afterwards.
Does not: protobuf (remote_write, native_histograms), servers.

Days come in their order and a day's requests one after the other, so no sample is older than
what Prometheus takes: half of its head's range (two days here) before its newest sample.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping
from functools import partial
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from lake.base.day import Day
from lake.base.errors import Incomplete, UsageError
from lake.config.datasets import duration_ms
from lake.http.client import Http, Rejected
from lake.store import Store
from lake.systems.label_sets import Integers, label_columns, label_sets, starts_of
from lake.systems.labels import series_id
from lake.systems.loading import Loaded, Remarks
from lake.systems.partitions import Partition, batches_of
from lake.systems.prometheus.config import PrometheusSource
from lake.systems.prometheus.reading.promql import exactly
from lake.systems.prometheus.replay.native_histograms import HistogramWriter
from lake.systems.prometheus.replay.remote_write import (
    HEADERS,
    NAN,
    STALE,
    Samples,
    joined,
    labels_field,
    request,
    with_gaps_marked,
)
from lake.systems.sending import Sending

_NAME = "__name__"
_FIXED = frozenset({"day", "ts", "metric", "value", "nan", "series_id", "histogram"})
_ROWS = 131_072  # a request: 2.4 MB before it is compressed
_LOOK_BACK_MS = 300_000
_RANGE = (
    "range mode: values stand at the steps, not at the scrapes' times; query at steps for what "
    "the source answered. Where a series had no value at a step a stale marker was written: {}"
)
_LONG_STEP = (
    "{}-step: longer than Prometheus looks back (5m), so between two steps there is nothing"
)
_NAMELESS = (
    "results without a metric name got their dataset's name as one: {} series, added up over days"
)
_NANS = "NaNs have the bits of Prometheus' own, for a payload is not kept: {} samples"
_NO_MARKERS = (
    "raw samples read by range vectors have no stale markers: a series that ends is seen for "
    "5m more"
)


class PrometheusLoader:
    """See Loader. For one server with no other writer."""

    def __init__(self, store: Store, url: str, remarks: Remarks) -> None:
        self._store = store
        self._http = Http(PrometheusSource(url=url, slow_down_at=""), "prometheus")
        self._remarks = remarks
        self._sending = Sending()
        self._day: Day | None = None
        self._owners: list[tuple[str, Integers]] = []
        self._surplus_ms: int | None = None

    def order_of(self, partition: Partition) -> str:
        """See Loader: the oldest first."""
        return str(partition.day)

    def load(self, partition: Partition) -> Loaded:
        """See Loader. Raises UsageError where two datasets hold the same series."""
        if partition.day != self._day:
            self._day, self._owners = partition.day, []
        rows = _Rows(partition, self._remarks)
        coded = ["metric", "nan", *rows.label_columns]
        batches = batches_of(self._store, partition.manifest, _ROWS, coded)
        for samples, labels in rows.samples(batches):
            body = request(samples, labels)
            self._sending.send(
                partial(self._write, body, f"{partition.dataset.name} {partition.day}")
            )
        self._own(partition.dataset.name, rows.series())
        return Loaded(partition.manifest.rows, rows.countable, rows.countable, dict(rows.of_metric))

    def end_of_day(self) -> None:
        """See Loader."""
        self._sending.finish()

    def finish(self) -> None:
        """See Loader: nothing is left to be done."""

    def count(self, day: Day, loaded: Mapping[str, Loaded]) -> dict[str, int]:
        """See Loader: PromQL's count of each metric, compared with what was written of it."""
        wanted: Counter[str] = Counter()
        for partition in loaded.values():
            wanted.update(partition.groups)
        counted = {metric: self._counted(metric, day) for metric in wanted}
        return {
            name: sum(
                n + counted[metric] - wanted[metric] for metric, n in partition.groups.items()
            )
            for name, partition in loaded.items()
        }

    def close(self) -> None:
        """See Loader."""
        self._sending.close()
        self._http.close()

    def _write(self, body: bytes, where: str) -> None:
        try:
            self._http.request("POST", "/api/v1/write", data=body, headers=HEADERS)
        except Rejected as error:
            raise Incomplete(
                "the temporary Prometheus refused samples", where=where, found=error.text
            ) from error

    def _own(self, name: str, series: Integers) -> None:
        for other, theirs in self._owners:
            both = np.intersect1d(series, theirs)
            if len(both):
                raise UsageError(
                    "two datasets hold the same series: one server can't separate them",
                    where=f"{other} and {name}, {self._day}",
                    found=f"{len(both)} series in both",
                    remedy="replay them into two directories",
                )
        self._owners.append((name, series))

    def _counted(self, metric: str, day: Day) -> int:
        """One metric at a time: their names gone, two may have series of the same labels."""
        if self._surplus_ms is None:
            # The bounds of this range are two steps; a version that leaves one out counts 1.
            self._surplus_ms = self._sum("count_over_time(vector(1)[1s:1s])", day.start_ms) - 1
        selector = exactly({_NAME: metric})
        window = f"{86_400_000 - self._surplus_ms}ms"
        return self._sum(f"sum(count_over_time({selector}[{window}]))", day.end_ms - 1)

    def _sum(self, query: str, at_ms: int) -> int:
        params = {"query": query, "time": f"{at_ms // 1000}.{at_ms % 1000:03}"}
        result: list[Any] = self._http.post("/api/v1/query", params).json()["data"]["result"]
        return int(float(result[0]["value"][1])) if result else 0


class _Rows:
    """One partition's rows as samples, and what is counted of them on the way."""

    def __init__(self, partition: Partition, remarks: Remarks) -> None:
        dataset, manifest = partition.dataset, partition.manifest
        defined = {**dataset.model_dump(), **manifest.definition}
        self._step_ms = duration_ms(defined["step"]) if defined["mode"] == "range" else None
        self._end_ms = partition.day.end_ms
        self._name = dataset.name
        self._remarks = remarks
        self._histograms = HistogramWriter(remarks)
        self._ids: list[Integers] = []
        self._nameless: set[int] = set()
        self.label_columns = label_columns([column["name"] for column in manifest.schema], _FIXED)
        self.of_metric: Counter[str] = Counter()
        """Samples that PromQL counts: all but stale markers."""
        if self._step_ms and self._step_ms > _LOOK_BACK_MS:
            remarks.add(_LONG_STEP.format(defined["step"]))
        if isinstance(manifest.details.get("stale_markers"), str):  # a number where they are known
            remarks.add(_NO_MARKERS)

    @property
    def countable(self) -> int:
        """Of all metrics."""
        return sum(self.of_metric.values())

    def series(self) -> Integers:
        """The ids of all series, each once."""
        own = np.array(sorted(self._nameless), np.int64)
        return np.unique(np.concatenate([own, *self._ids]))

    def samples(
        self, batches: Iterator[pa.RecordBatch]
    ) -> Iterator[tuple[Samples, Mapping[int, bytes]]]:
        """The rows in their order with the labels of their ids; in range mode with gaps marked."""
        labels: dict[int, bytes] = {}
        held: Samples | None = None
        for batch in batches:
            samples = self._taken(batch, labels)
            if not len(samples):
                continue
            if self._step_ms is None:
                yield samples, labels
                labels = {}
                continue
            whole = samples if held is None else joined(held, samples)
            yield self._marked(whole, self._step_ms), labels
            held = whole.part(slice(len(whole) - 1, None))
            last = int(held.ids[0])
            labels = {last: labels[last]}
        if held is not None and self._step_ms is not None:
            another = Samples(held.ids ^ 1, held.ts_ms, held.bits)
            yield self._marked(joined(held, another), self._step_ms), labels

    def _marked(self, samples: Samples, step_ms: int) -> Samples:
        marked = with_gaps_marked(samples, step_ms, self._end_ms)
        self._remarks.add(_RANGE, len(marked) - len(samples) + 1)
        return marked

    def _taken(self, batch: pa.RecordBatch, labels: dict[int, bytes]) -> Samples:
        """The batch's samples; adds its series' labels."""
        ids = batch["series_id"].to_numpy()
        starts = starts_of(ids)
        bits, is_marker = self._bits(batch)
        histograms, left_out = self._histograms.written(batch)
        counted = np.add.reduceat(~(is_marker | left_out), starts, dtype=np.int64)
        metrics = batch["metric"].take(pa.array(starts)).to_pylist()
        sets = label_sets(batch, starts, self.label_columns)
        for number, metric, pairs, count in zip(
            ids[starts].tolist(), metrics, sets, counted.tolist(), strict=True
        ):
            name = metric or self._name
            self.of_metric[name] += count
            if not metric:
                self._remarks.add(_NAMELESS, int(number not in labels))
                self._nameless.add(series_id({**dict(pairs), _NAME: name}, name))
            labels[number] = labels_field([*pairs, (_NAME, name)])
        named = np.array([metric is not None for metric in metrics], bool)
        self._ids.append(ids[starts][named])
        ts_ms = batch["ts"].cast(pa.int64()).to_numpy()
        samples = Samples(ids, ts_ms, bits, histograms)
        return samples.part(~left_out) if left_out.any() else samples

    def _bits(self, batch: pa.RecordBatch) -> tuple[Any, Any]:
        """The doubles' bits, and which of them are stale markers."""
        values, nans = batch["value"], batch["nan"]
        bits = values.to_numpy(zero_copy_only=False).view(np.uint64)
        is_marker = np.zeros(len(bits), bool)
        if nans.null_count < len(nans):
            # Written without nulls where there are none, and a copy where there are.
            bits = bits.copy()
            kind = nans.cast(pa.string())
            is_marker = pc.equal(kind, "stale").fill_null(False).to_numpy(False)
            is_nan = pc.equal(kind, "nan").fill_null(False).to_numpy(False)
            bits[is_marker], bits[is_nan] = STALE, NAN
            if is_nan.any():
                self._remarks.add(_NANS, int(is_nan.sum()))
        return bits, is_marker
