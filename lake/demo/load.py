"""Fills MongoDB, Prometheus and Loki with the demo's history, all three at once.

Belongs here: running the loaders side by side, progress, stopping when one fails.
Does not: how one of them is filled (into_mongo, into_prometheus, into_loki).
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor, as_completed
from dataclasses import dataclass

from lake.demo.into_loki import load_lines
from lake.demo.into_mongo import load_documents
from lake.demo.into_prometheus import load_samples
from lake.demo.scenario import Scenario

Progress = Callable[[str, int, int], None]
"""Source, days that are loaded, days in all; never called from two threads at once."""
SOURCES = ("mongo", "prometheus", "loki")


@dataclass(frozen=True)
class LoadedHistory:
    """What was written: documents by collection, series and samples, log lines."""

    documents: Mapping[str, int]
    series: int
    samples: int
    lines: int

    @property
    def requests(self) -> int:
        """Number of simulated requests in all of it."""
        return self.documents["usage_analytics"]


class _Stopped(Exception):
    """Another loader failed: a word between our threads."""


def load(
    endpoints: Mapping[str, Mapping[str, str]],
    scenario: Scenario,
    progress: Progress | None = None,
) -> LoadedHistory:
    """Writes the scenario's days and returns when the servers show the last of them.

    `endpoints` as `lake.servers.Stack.endpoints`; the servers hold nothing of the window
    yet. The first loader's error is raised, and the others stop after the day at hand.
    Memory is bounded by a few days of data.
    """
    steps = _Steps(scenario.days, progress)
    mongo, prometheus, loki = (endpoints[source] for source in SOURCES)
    with ThreadPoolExecutor(max_workers=len(SOURCES)) as pool:
        documents = pool.submit(load_documents, mongo["uri"], scenario, steps.of("mongo"))
        samples = pool.submit(load_samples, prometheus["url"], scenario, steps.of("prometheus"))
        lines = pool.submit(load_lines, loki["url"], scenario, steps.of("loki"))
        try:
            for future in as_completed((documents, samples, lines)):
                future.result()
        except BaseException:
            steps.stop()
            raise
    return LoadedHistory(documents.result(), *samples.result(), lines.result())


class _Steps:
    """Counts each source's days, reports them one at a time, ends the loaders on `stop`."""

    def __init__(self, days: int, progress: Progress | None) -> None:
        self._days = days
        self._progress = progress
        self._lock = threading.Lock()
        self._stopped = threading.Event()

    def of(self, source: str) -> Callable[[], None]:
        """To be called after each day of that source."""
        done = 0

        def step() -> None:
            nonlocal done
            if self._stopped.is_set():
                raise _Stopped
            done += 1
            if self._progress:
                with self._lock:
                    self._progress(source, done, self._days)

        return step

    def stop(self) -> None:
        """The next `step` of each loader raises."""
        self._stopped.set()
