"""The Prometheus source.

Belongs here: what reading and counting a day means, step by step.
Does not: how each step is done (promql_day, remote_read).
"""

from __future__ import annotations

import logging
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import pyarrow as pa

from lake.base.clock import utc_now
from lake.base.day import Day
from lake.config.datasets import Dataset
from lake.http.client import Http
from lake.partition.table import TableStream
from lake.privacy.messages import without_values
from lake.systems.prometheus.config import PrometheusDataset, PrometheusSource
from lake.systems.prometheus.reading import plan
from lake.systems.prometheus.reading.api import Api
from lake.systems.prometheus.reading.blocks import ENCODINGS, SORTED_BY
from lake.systems.prometheus.reading.promql_day import PromqlDay
from lake.systems.prometheus.reading.questions import DayQuestions
from lake.systems.prometheus.reading.ruled import RuledLabels
from lake.systems.prometheus.reading.server import server_details
from lake.systems.source import Count

_LOG = logging.getLogger(__name__)
_PROBE = ("/api/v1/query", {"query": "1"})  # looks at no series, and waits for its turn
_COUNTED = "sum over metrics of sum(count_over_time(QUERY[1d]))"
_HOW: dict[str, dict[str, Any]] = {
    "range": {"mode": "range"},
    "raw": {"mode": "raw", "read_by": "range vectors", "stale_markers": "left out by the server"},
}


class PrometheusReader:
    """Days of Prometheus, Thanos Query or Mimir.

    `mode = "range"` sends range queries; `mode = "raw"` the stored samples: by remote read, or
    where there is none by range vectors, which leave stale markers out.
    """

    may_count_low = False

    def __init__(self, section: PrometheusSource) -> None:
        self.lateness_days = section.lateness_days
        self._min_stores = section.min_stores
        self._http = Http(section, "prometheus", probe=_PROBE)
        self._server: dict[str, str] | None = None
        self._read_at: dict[tuple[str, Day], int] = {}

    @contextmanager
    def read(self, dataset: Dataset, day: Day, scratch: Path) -> Iterator[TableStream]:
        """All samples of the day, requested while they are taken; `scratch` holds what waits."""
        dataset = _checked(dataset)
        rules = dataset.rules()
        ruled = RuledLabels(rules, f"{dataset.name} {day}") if rules else None
        questions = DayQuestions(self._http, dataset, self._min_stores)
        questions.api.check_stores(day.start_ms, day.end_ms)
        server = self._built()
        why_not: dict[str, str] = {}
        if dataset.mode == "raw":
            stored, why_not = self._by_remote_read(questions, dataset, day, scratch, ruled)
            if stored is not None:
                stored.details.update({**server, **rules.details()})
                yield replace(stored, rules=rules.to_json())
                return
        raw = dataset.mode == "raw"
        self._read_at[dataset.name, day] = _now_ms()
        window = self._window(dataset, day)
        asking = PromqlDay(questions, dataset.query, window, scratch, raw=raw, ruled=ruled)
        table, batches = asking.table(self._http.max_parallel)
        details: dict[str, Any] = {**_HOW[dataset.mode], **why_not, **server}
        if not raw:
            details["step"] = dataset.step

        def checked() -> Iterator[pa.RecordBatch]:
            """Until the last row is there, a store may go away, and remarks come."""
            yield from batches
            questions.api.check_stores(day.start_ms, day.end_ms)
            details.update(_tallied(questions.api), series=asking.series, **rules.details())
            if rules and "remarks" in details:
                known = repr(dataset.model_dump())
                details["remarks"] = [without_values(text, known) for text in details["remarks"]]

        yield TableStream(
            schema=table.schema,
            batches=checked(),
            sorted_by=SORTED_BY,
            encodings=ENCODINGS,
            dictionary=table.dictionary,
            details=details,
            rules=rules.to_json(),
        )

    def count(self, dataset: Dataset, day: Day) -> Count:
        """PromQL's own count of each step, added up: neither shards nor our parser."""
        dataset = _checked(dataset)
        questions = DayQuestions(self._http, dataset, self._min_stores)
        window = self._window(dataset, day)
        if dataset.mode == "raw":
            from lake.systems.prometheus.reading import remote_read  # noqa: PLC0415  as below

            try:  # first, for it fails at once where a query is no selector
                stale = remote_read.stale_markers(self._http, questions, dataset, day)
            except remote_read.Unavailable:
                return Count(questions.stored(window), _COUNTED)
            method = f"{_COUNTED}, and the stale markers, by remote read"
            return Count(questions.stored(window) + stale, method)
        method = f"sum over the day's steps of query_range count(QUERY), step {dataset.step}"
        return Count(questions.total(window), method)

    def undated(self, dataset: Dataset) -> None:
        """Every sample has its time."""

    def outside(self, dataset: Dataset, start: Day, end: Day) -> int | None:
        """None: the server drops old rows by itself, and refuses those of days to come."""
        return None

    def unseen(self, dataset: Dataset, day: Day) -> int:
        """0: what is listed is shown."""
        return 0

    def stop(self) -> None:
        """See Source."""
        self._http.stop()

    def close(self) -> None:
        """Ends the connections."""
        self._http.close()

    def _window(self, dataset: PrometheusDataset, day: Day) -> plan.Window:
        """Stored samples may have any ms of the day. Of a day that is not over its steps up to now,
        and for a count up to when it was read: the look-back fills steps of the next 5 minutes.
        """
        if dataset.mode == "raw":
            return plan.whole_day(day, 1)
        whole = plan.whole_day(day, dataset.step_ms)
        now_ms = _now_ms()
        if whole.end_ms <= now_ms:
            return whole
        until_ms = self._read_at.get((dataset.name, day), now_ms)
        steps = (until_ms - whole.start_ms) // whole.step_ms + 1
        return replace(whole, steps=min(max(1, steps), whole.steps))

    def _built(self) -> dict[str, str]:
        """The server's version, for those who bring the day back; {} where it has none."""
        if self._server is None:
            self._server = server_details(self._http)
        return self._server

    def _by_remote_read(
        self,
        questions: DayQuestions,
        dataset: PrometheusDataset,
        day: Day,
        scratch: Path,
        ruled: RuledLabels | None,
    ) -> tuple[TableStream | None, dict[str, str]]:
        """The day, or why not. Imported here: numba takes its time."""
        from lake.systems.prometheus.reading import remote_read  # noqa: PLC0415

        try:
            stream = remote_read.table_stream(self._http, questions, dataset, day, scratch, ruled)
        except remote_read.Unavailable as error:
            why = str(error)
            if ruled:
                why = without_values(why, repr(dataset.model_dump()))
            _LOG.warning("%s: no remote read, so no stale markers: %s", dataset.name, why)
            return None, {"remote_read": why}
        return stream, {}


def _tallied(api: Api) -> dict[str, Any]:
    tallied: dict[str, Any] = {
        "requests": api.tally.requests,
        "retries": api.tally.retries,
        "pace": api.tally.slowing.details(),
    }
    # Fewer than on other days: one has been away for so long that Thanos has forgotten it.
    if api.stores:
        tallied["stores"] = api.stores
    return tallied | ({"remarks": sorted(api.remarks)} if api.remarks else {})


def _now_ms() -> int:
    return int(utc_now().timestamp() * 1000)


def _checked(dataset: Dataset) -> PrometheusDataset:
    if not isinstance(dataset, PrometheusDataset):
        raise TypeError(f"not a Prometheus dataset: {dataset.name}")
    return dataset
