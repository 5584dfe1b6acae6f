"""The Prometheus source.

Belongs here: what reading and counting a day means, step by step.
Does not: how each step is done (plan, api, answer, spool, rows).
"""

from __future__ import annotations

import logging
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from itertools import chain, count
from pathlib import Path
from typing import Any

from lake.base.datasets import Dataset, PrometheusDataset
from lake.base.day import Day
from lake.base.settings import PrometheusSource
from lake.base.table import TableStream
from lake.sources.face import Count
from lake.sources.http import Http
from lake.sources.prometheus import plan, spool
from lake.sources.prometheus.answer import split
from lake.sources.prometheus.api import Questions
from lake.sources.prometheus.rows import ENCODINGS, SORTED_BY, Rows, SeriesIds

_LOG = logging.getLogger(__name__)
_PROBE = ("/api/v1/query", {"query": "1"})  # looks at no series, and waits for its turn
_LOOK_BACK_MS = 3_600_000  # names of a day's first steps may be older; the default is 5 min
_RAW_SAMPLES_A_DAY = 5760  # a guess: one each 15 s; a denser series is halved when asked for
_HOW: dict[str, dict[str, Any]] = {
    "range": {"mode": "range"},
    "raw": {"mode": "raw", "read_by": "range vectors", "stale_markers": "left out by the server"},
}


class PrometheusReader:
    """Days of Prometheus, Thanos Query or Mimir.

    `mode = "range"` asks range queries; `mode = "raw"` the stored samples, by range vectors:
    their values exactly, without stale markers.
    """

    may_count_low = False

    def __init__(self, section: PrometheusSource) -> None:
        self.lateness_days = section.lateness_days
        self._http = Http(section, "prometheus", probe=_PROBE)

    @contextmanager
    def read(self, dataset: Dataset, day: Day, scratch: Path) -> Iterator[TableStream]:
        """All samples of the day, asked at once and kept in `scratch` until they are taken."""
        dataset = _checked(dataset)
        questions = Questions(self._http, dataset)
        questions.check_stores(day.start_ms, day.end_ms)
        ids = SeriesIds()
        shards = self._fetch(questions, dataset, _window(dataset, day), scratch, ids)
        questions.check_stores(day.start_ms, day.end_ms)
        label_sets = ids.label_sets({one for shard in shards for part in shard for one in part.ids})
        rows = Rows(label_sets)
        yield TableStream(
            schema=rows.schema,
            batches=rows.batches(chain.from_iterable(map(spool.merged, shards))),
            sorted_by=SORTED_BY,
            encodings=ENCODINGS,
            dictionary=rows.dictionary,
            details={
                **_HOW[dataset.mode],
                **({"step": dataset.step} if dataset.mode == "range" else {}),
                "series": len(label_sets),
                "requests": questions.tally.requests,
                "retries": questions.tally.retries,
                "pace": questions.tally.slowing.details(),
                **({"remarks": sorted(questions.remarks)} if questions.remarks else {}),
            },
        )

    def count(self, dataset: Dataset, day: Day) -> Count:
        """PromQL's own count of each step, added up: neither shards nor our parser."""
        dataset = _checked(dataset)
        questions = Questions(self._http, dataset)
        window = _window(dataset, day)
        if dataset.mode == "raw":
            return Count(
                questions.stored(window), "sum over metrics of sum(count_over_time(QUERY[1d]))"
            )
        method = f"sum over the day's steps of query_range count(QUERY), step {dataset.step}"
        return Count(questions.total(window), method)

    def undated(self, dataset: Dataset) -> None:
        """Every sample has its time."""

    def close(self) -> None:
        """Ends the connections."""
        self._http.close()

    def _fetch(
        self,
        questions: Questions,
        dataset: PrometheusDataset,
        day: plan.Window,
        scratch: Path,
        ids: SeriesIds,
    ) -> list[list[spool.Spool]]:
        """Every answer in a file: shard by shard in the order of ids, each in that of time."""
        files = count()
        raw = dataset.mode == "raw"
        ask = questions.range_vector if raw else questions.matrix

        def fetch(query: str, window: plan.Window) -> list[spool.Spool]:
            return questions.in_parts(window, lambda part: fetch_part(query, part))

        def fetch_part(query: str, window: plan.Window) -> spool.Spool:
            envelope, series = split(ask(query, window))
            questions.checked(envelope)
            return spool.write(scratch / f"{next(files)}.arrow", window, series, ids, clip=raw)

        shards = _plan(questions, dataset, day)
        with ThreadPoolExecutor(self._http.max_parallel, "prometheus") as pool:
            try:
                asked = [
                    [pool.submit(fetch, query, window) for window in windows]
                    for query, windows in shards
                ]
                return [[one for part in parts for one in part.result()] for parts in asked]
            except BaseException:
                pool.shutdown(cancel_futures=True)
                raise


def _plan(
    questions: Questions, dataset: PrometheusDataset, day: plan.Window
) -> list[tuple[str, list[plan.Window]]]:
    sizes = questions.sizes(day)
    if plan.is_selector(dataset.query):
        for name in questions.metric_names(day.start_ms - _LOOK_BACK_MS, day.end_ms):
            sizes.setdefault(name, 1)
    longest, samples_each = _longest(dataset, day)
    shards = plan.shards(dataset.query, sizes, samples_each)
    _LOG.debug("%s: %d metrics in %d shards", dataset.name, len(sizes), len(shards))
    if plan.splittable(dataset.query):
        return [(shard.query, plan.windows(day, shard, longest, samples_each)) for shard in shards]
    if day.steps > longest:
        questions.check_splittable()
    return [(shard.query, [day]) for shard in shards]


def _window(dataset: PrometheusDataset, day: Day) -> plan.Window:
    """Stored samples may have any ms of the day."""
    return plan.whole_day(day, 1 if dataset.mode == "raw" else dataset.step_ms)


def _longest(dataset: PrometheusDataset, day: plan.Window) -> tuple[int, int]:
    """Steps of the longest window that may be asked for; samples that a series has in it."""
    if dataset.mode == "raw":
        return day.steps, _RAW_SAMPLES_A_DAY
    steps = min(day.steps, plan.MAX_STEPS)
    return steps, steps


def _checked(dataset: Dataset) -> PrometheusDataset:
    if not isinstance(dataset, PrometheusDataset):
        raise TypeError(f"not a Prometheus dataset: {dataset.name}")
    return dataset
