"""An export with its rollup ÷ the same export without: Prometheus by range queries and raw, Loki.

Whole exports of one day from real servers into a directory: reading, the source's count, Parquet,
fingerprint and manifest. Wall time, and the processor time of the export alone: the servers' is
the same on both sides.

    .venv/bin/python bench/with_rollup.py [--series 1000] [--lines 100000] [--rounds 5]
"""

from __future__ import annotations

import argparse
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from functools import partial
from pathlib import Path
from unittest.mock import patch

from loki_day import DATASET, busy_loki
from loki_day import DAY as LOGGED
from measuring import best, interleave, machine, report
from prometheus_day import integer_counters, load_day

from lake.base.day import Day
from lake.config.datasets import Dataset
from lake.config.settings import LakeSection, Settings, SourcesSection
from lake.export import Exporter
from lake.rollup.rollups import Rollups
from lake.servers import start
from lake.systems.loki.config import LokiSource
from lake.systems.prometheus.config import PrometheusDataset, PrometheusSource

SAMPLED = Day.parse("2026-03-14")
QUERY = '{job="miyou"}'


def exporter_of(root: Path, source: SourcesSection, *datasets: Dataset) -> Exporter:
    """Without a lake.toml."""
    settings = Settings(lake=LakeSection(root=str(root)), sources=source, dataset=datasets)
    return Exporter(settings)


@contextmanager
def exports(root: Path, series: int, lines: int) -> Iterator[dict[str, Callable[[], str]]]:
    """Each export by name; a call gives what became of its rollup."""
    with ExitStack() as running:
        url = running.enter_context(start(["prometheus"])).endpoints["prometheus"]["url"]
        load_day(url, SAMPLED, integer_counters(series), metrics=40)
        loki = running.enter_context(busy_loki(lines))
        samples = {
            mode: PrometheusDataset(name=mode, source="prometheus", query=QUERY, mode=mode)
            for mode in ("range", "raw")
        }
        prometheus = SourcesSection(prometheus=PrometheusSource(url=url))
        of_samples = exporter_of(root, prometheus, *samples.values())
        of_lines = exporter_of(root, SourcesSection(loki=LokiSource(url=loki.url)), DATASET)
        running.callback(of_samples.close)
        running.callback(of_lines.close)

        def export(exporter: Exporter, dataset: Dataset, day: Day) -> str:
            return exporter.export(dataset, day, force=True, allow_shrink=True).rollup.state

        yield {
            "samples by range queries": partial(export, of_samples, samples["range"], SAMPLED),
            "raw samples": partial(export, of_samples, samples["raw"], SAMPLED),
            "log lines": partial(export, of_lines, DATASET, LOGGED),
        }


def main() -> None:
    """Prints both ratios of each."""
    options = argparse.ArgumentParser(description=__doc__)
    options.add_argument("--series", type=int, default=1000)
    options.add_argument("--lines", type=int, default=100_000)
    options.add_argument("--rounds", type=int, default=5)
    chosen = options.parse_args()
    print(machine())
    with (
        tempfile.TemporaryDirectory() as folder,
        exports(Path(folder), chosen.series, chosen.lines) as runs,
    ):
        for name, run in runs.items():
            own: dict[str, list[float]] = {"with": [], "without": []}

            def with_rollup(run: Callable[[], str] = run, own: list[float] = own["with"]) -> None:
                begun = time.process_time()
                assert run() == "made"
                own.append(time.process_time() - begun)

            def without(run: Callable[[], str] = run, own: list[float] = own["without"]) -> None:
                begun = time.process_time()
                with patch.object(Rollups, "of", lambda *_: None):
                    assert run() == "none"
                own.append(time.process_time() - begun)

            with_rollup()  # compiled code is loaded
            own["with"].clear()
            wall = interleave({"with": with_rollup, "without": without}, chosen.rounds)
            for what, seconds in (("wall", wall), ("processor time of the export", own)):
                report(
                    f"A day of {name}, with its rollup ÷ without: {what}",
                    best(seconds["with"]), best(seconds["without"]), "s",
                    target=1.1, at_most=True, peer_name="without",
                )  # fmt: skip


if __name__ == "__main__":
    main()
