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

from lake.base.datasets import Dataset, PrometheusDataset
from lake.base.day import Day
from lake.base.errors import PermanentError
from lake.base.settings import PrometheusSource
from lake.base.table import TableStream
from lake.sources.face import Count
from lake.sources.http import Http
from lake.sources.prometheus import plan, spool
from lake.sources.prometheus.answer import split
from lake.sources.prometheus.api import Questions
from lake.sources.prometheus.rows import ENCODINGS, SORTED_BY, Rows, SeriesIds

_LOG = logging.getLogger(__name__)
_LOOK_BACK_MS = 3_600_000  # names of a day's first steps may be older; the default is 5 min


class PrometheusReader:
    """Days of Prometheus, Thanos Query or Mimir, by range queries."""

    may_count_low = False

    def __init__(self, section: PrometheusSource) -> None:
        self.lateness_days = section.lateness_days
        self._http = Http(section, "prometheus")

    @contextmanager
    def read(self, dataset: Dataset, day: Day, scratch: Path) -> Iterator[TableStream]:
        """All steps of the day, asked at once and kept in `scratch` until they are taken."""
        dataset = _checked(dataset)
        questions = Questions(self._http, dataset)
        questions.check_stores(day.start_ms, day.end_ms)
        ids = SeriesIds()
        shards = self._fetch(questions, dataset, plan.whole_day(day, dataset.step_ms), scratch, ids)
        questions.check_stores(day.start_ms, day.end_ms)
        label_sets = ids.label_sets()
        rows = Rows(label_sets)
        yield TableStream(
            schema=rows.schema,
            batches=rows.batches(chain.from_iterable(map(spool.merged, shards))),
            sorted_by=SORTED_BY,
            encodings=ENCODINGS,
            dictionary=rows.dictionary,
            details={
                "mode": dataset.mode,
                "step": dataset.step,
                "series": len(label_sets),
                "requests": questions.tally.requests,
                "retries": questions.tally.retries,
                **({"remarks": sorted(questions.remarks)} if questions.remarks else {}),
            },
        )

    def count(self, dataset: Dataset, day: Day) -> Count:
        """PromQL's own count of each step, added up: neither shards nor our parser."""
        dataset = _checked(dataset)
        questions = Questions(self._http, dataset)
        total = questions.total(plan.whole_day(day, dataset.step_ms))
        return Count(total, f"sum over the day's steps of query_range count(QUERY), {dataset.step}")

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

        def fetch(query: str, window: plan.Window) -> list[spool.Spool]:
            return questions.in_parts(window, lambda part: fetch_part(query, part))

        def fetch_part(query: str, window: plan.Window) -> spool.Spool:
            envelope, series = split(questions.matrix(query, window))
            questions.checked(envelope)
            return spool.write(scratch / f"{next(files)}.arrow", window, series, ids)

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
    shards = plan.shards(dataset.query, sizes, day.steps)
    _LOG.debug("%s: %d metrics in %d shards", dataset.name, len(sizes), len(shards))
    if plan.splittable(dataset.query):
        return [(shard.query, plan.windows(day, shard)) for shard in shards]
    if day.steps > plan.MAX_STEPS:
        questions.check_splittable()
    return [(shard.query, [day]) for shard in shards]


def _checked(dataset: Dataset) -> PrometheusDataset:
    if not isinstance(dataset, PrometheusDataset):
        raise TypeError(f"not a Prometheus dataset: {dataset.name}")
    if dataset.mode != "range":
        raise PermanentError(
            f'mode = "{dataset.mode}" can\'t be read yet',
            where=f"dataset {dataset.name}",
            expected='mode = "range"',
        )
    return dataset
