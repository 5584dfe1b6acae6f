"""A day by PromQL: requested shard by shard, written while the next answers arrive.

Belongs here: the requests, their order and size.
Does not: what a request looks like (api), what becomes of an answer (runs, blocks).

Shards come in the order of their series' ids, so the rows of one can be written as soon as
all its answers are there. That takes the table's columns to be known before: where the
server can't list its labels' names, every answer is there before the first row is written.
"""

from __future__ import annotations

import logging
from collections import deque
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import pyarrow as pa

from lake.http.client import HttpAnswer
from lake.systems.prometheus.reading import plan, promql
from lake.systems.prometheus.reading.answer import Matrix, matrix
from lake.systems.prometheus.reading.blocks import Block, SampleTable, label_columns
from lake.systems.prometheus.reading.narrowing import Piece, pieces
from lake.systems.prometheus.reading.questions import DayQuestions
from lake.systems.prometheus.reading.ruled import RuledLabels
from lake.systems.prometheus.reading.runs import Room, Runs

_LOG = logging.getLogger(__name__)
_LOOK_BACK_MS = 3_600_000  # names of a day's first steps may be older; the default is 5 min
_RAW_SAMPLES_A_DAY = 5760  # a guess: one each 15 s; a denser series is halved when requested
_ROOM = 24 << 20  # bytes of answers that wait in memory; what is more waits in files
_AHEAD = 3  # answers that are requested or wait, for each request that may run
_MOST_CUTS = 6  # by one label after the other, before the server has refused anything


@dataclass
class _Shard:
    """The requests, and the answers as they arrive."""

    runs: Runs
    futures: list[Future[None]]


class PromqlDay:
    """One dataset's day; `raw`: stored samples by range vectors, a window one ms per step."""

    def __init__(
        self,
        questions: DayQuestions,
        query: str,
        day: plan.Window,
        scratch: Path,
        *,
        raw: bool,
        ruled: RuledLabels | None = None,
    ) -> None:
        self._questions = questions
        self._query = query
        self._day = day
        self._scratch = scratch
        self._raw = raw
        self._ruled = ruled
        self._room = Room(_ROOM)
        self.series = 0
        """How many series were written so far."""

    def table(self, max_parallel: int) -> tuple[SampleTable, Iterator[pa.RecordBatch]]:
        """The columns, and the rows in the order of (series_id, ts)."""
        pool = ThreadPoolExecutor(max_parallel, "prometheus")
        try:
            # A day of raw samples has too many ms to look at each.
            names = None if self._raw else self._questions.seen_labels(self._day)
            planned = self._planned()
            if names is None:
                _LOG.info("waiting for all answers: only they have the labels' names")
                shards = [self._requested(pool, *shard) for shard in planned]
                for shard in shards:
                    _wait(shard)
                names = {name for shard in shards for name in shard.runs.names}
                blocks = self._blocks_of(iter(shards))
            else:
                blocks = self._blocks_of(
                    self._requested_ahead(pool, planned, _AHEAD * max_parallel)
                )
        except BaseException:
            pool.shutdown(cancel_futures=True)
            raise
        table = SampleTable(label_columns(self._ruled.names(names) if self._ruled else names))
        return table, table.batches(_closing(blocks, pool))

    def _planned(self) -> Iterator[tuple[Piece, int]]:
        """Shards in the order of their ids, and how many steps one request may have."""
        sizes = self._questions.sizes(self._day)
        if promql.is_selector(self._query):
            day = self._day
            names = self._questions.metric_names(day.start_ms - _LOOK_BACK_MS, day.end_ms)
            sizes = {**dict.fromkeys(names, 1), **sizes}
        longest, samples_each = self._longest()
        shards = plan.shards(self._query, sizes, samples_each)
        _LOG.debug("%d metrics in %d shards", len(sizes), len(shards))
        if not promql.splittable(self._query) and self._day.steps > longest:
            self._questions.check_splittable()
        return iter([(Piece(shard.query, shard.series), longest) for shard in shards])

    def _longest(self) -> tuple[int, int]:
        """Steps of the longest window of one request; samples that a series has in it."""
        if self._raw:
            return self._day.steps, _RAW_SAMPLES_A_DAY
        steps = min(self._day.steps, plan.MAX_STEPS)
        return steps, steps

    def _requests(self, shard: Piece, longest: int) -> Iterator[tuple[str, plan.Window]]:
        """A shard by label, each piece of it by time."""
        _, samples_each = self._longest()
        if not promql.splittable(self._query):
            yield shard.query, self._day
            return
        most = plan.bearable_series(samples_each)
        for piece in self._narrow(shard, most, _MOST_CUTS):
            windows = plan.windows(self._day, piece.series, longest, samples_each)
            yield from ((piece.query, window) for window in windows)

    def _narrow(self, shard: Piece, most: int, cuts: int) -> Iterator[Piece]:
        if shard.series <= most or not cuts:
            yield shard
            return
        parts = pieces(self._questions, shard, self._day, most)
        if not parts:
            yield shard
        for part in parts:
            yield from self._narrow(part, most, cuts - 1)

    def _requested(self, pool: ThreadPoolExecutor, shard: Piece, longest: int) -> _Shard:
        runs = Runs(self._scratch, self._room, self._ruled)
        requests = self._requests(shard, longest)
        return _Shard(runs, [pool.submit(self._fetch, runs, *request) for request in requests])

    def _requested_ahead(
        self, pool: ThreadPoolExecutor, planned: Iterator[tuple[Piece, int]], most: int
    ) -> Iterator[_Shard]:
        """Shards in their order; behind the one that is returned others are requested already."""
        ahead: deque[_Shard] = deque()
        waiting = 0
        more = True
        while more or ahead:
            while more and (waiting < most or not ahead):
                planned_next = next(planned, None)
                more = planned_next is not None
                if planned_next is not None:
                    ahead.append(self._requested(pool, *planned_next))
                    waiting += len(ahead[-1].futures)
            if ahead:
                waiting -= len(ahead[0].futures)
                yield ahead.popleft()

    def _fetch(self, runs: Runs, query: str, window: plan.Window) -> None:
        self._questions.covered(query, window, partial(self._fetch_part, runs))

    def _fetch_part(self, runs: Runs, query: str, window: plan.Window) -> None:
        ask = self._questions.api.range_vector if self._raw else self._questions.api.matrix
        results: list[Matrix] = []

        def parse(answer: HttpAnswer) -> None:
            """Within the attempt: an answer that was cut short is requested again."""
            results[:] = [matrix(answer, window, clip=self._raw)]

        ask(query, window, check=parse)
        self._questions.api.checked(results[0].envelope)
        runs.add(results[0], window)

    def _blocks_of(self, shards: Iterator[_Shard]) -> Iterator[Block]:
        for shard in shards:
            _wait(shard)
            for block in shard.runs.blocks():
                self.series += len(block.ids)
                yield block
            shard.runs.close()


def _wait(shard: _Shard) -> None:
    for future in shard.futures:
        future.result()
    shard.futures.clear()


def _closing(blocks: Iterator[Block], pool: ThreadPoolExecutor) -> Iterator[Block]:
    """Ends the pool with the blocks, whether they were all taken or not."""
    try:
        yield from blocks
    finally:
        pool.shutdown(cancel_futures=True)
