"""Many partitions: several at once, one's failure does not stop the others.

Belongs here: the loop over partitions. Does not: what an export is, how it is shown.
"""

from __future__ import annotations

import logging
from collections.abc import Generator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor, as_completed
from dataclasses import dataclass
from typing import Any

from lake.base.day import Day
from lake.base.errors import LakeError, PermanentError
from lake.config.datasets import Dataset
from lake.export import Exporter, Outcome
from lake.partition.manifest import Manifest
from lake.systems.source import SNAPSHOT

_LOG = logging.getLogger(__name__)


@dataclass(frozen=True)
class ExportResult:
    """What became of one partition: an outcome or an error. A table whose rollup failed has
    both: it is there.
    """

    dataset: str
    day: Day
    outcome: Outcome | None = None
    error: LakeError | None = None

    @property
    def state(self) -> str:
        """exported, rewritten, skipped or failed."""
        return self.outcome.state if self.outcome else "failed"

    def to_json(self) -> dict[str, Any]:
        """For `--json`."""
        described: dict[str, Any] = {
            "dataset": self.dataset,
            "day": str(self.day),
            "state": self.state,
        }
        if self.outcome:
            manifest = self.outcome.manifest
            described |= {
                "rows": manifest.rows,
                "bytes": manifest.bytes,
                "source_count": manifest.source_count,
                "fingerprint": manifest.fingerprint,
                "seconds": round(self.outcome.seconds, 3),
            }
            if snapshot := manifest.details.get(SNAPSHOT):
                described["snapshot"] = snapshot["day"]
            if self.outcome.rollup.state != "none":
                described["rollup"] = self.outcome.rollup.to_json()
        if self.error:
            described["error"] = {"what": self.error.what, **self.error.parts}
        return described


def export_many(
    exporter: Exporter,
    partitions: Sequence[tuple[Dataset, Day]],
    *,
    jobs: int,
    force: bool = False,
    open_day: bool = False,
    allow_shrink: bool = False,
    recheck: bool = False,
    allow_erased: bool = False,
    today: Day | None = None,
) -> Generator[ExportResult, None, None]:
    """Exports the partitions, `jobs` at once; yields results as they come. What may still grow is
    decided as of `today`, by default the current day when the run begins.

    Days that are in the lake and need no re-count are known from a listing, and come first.
    Closing the generator (Ctrl-C, too) stops the exports that are running.
    """
    today = today or Day.today()
    complete = {} if force else _complete(exporter, partitions, today)
    for (name, day), manifest in complete.items():
        yield ExportResult(name, day, Outcome(name, day, "skipped", manifest, 0.0))
    waiting = [(dataset, day) for dataset, day in partitions if (dataset.name, day) not in complete]
    options: dict[str, Any] = {
        "force": force,
        "open_day": open_day,
        "allow_shrink": allow_shrink,
        "recheck": recheck,
        "allow_erased": allow_erased,
        "today": today,
    }
    with ThreadPoolExecutor(jobs) as pool:
        running: dict[Future[Outcome], tuple[str, Day]] = {}
        try:
            # Inside: an interrupt may come as soon as the first one runs.
            for dataset, day in waiting:
                future = pool.submit(exporter.export, dataset, day, **options)
                running[future] = (dataset.name, day)
            for done in as_completed(running):
                error = done.exception()
                outcome = None if error else done.result()
                failed = _explained(error) if error else outcome.rollup.error if outcome else None
                yield ExportResult(*running[done], outcome, failed)
        except BaseException:
            exporter.stop()
            raise
        finally:
            for future in running:
                future.cancel()


def _complete(
    exporter: Exporter, partitions: Sequence[tuple[Dataset, Day]], today: Day
) -> dict[tuple[str, Day], Manifest]:
    """Empty where the store can't be read: each partition then fails with that by itself."""
    days: dict[str, list[Day]] = {}
    datasets = {dataset.name: dataset for dataset, _ in partitions}
    for dataset, day in partitions:
        days.setdefault(dataset.name, []).append(day)
    try:
        return {
            (name, day): manifest
            for name, days_of_dataset in days.items()
            for day, manifest in exporter.complete(datasets[name], days_of_dataset, today).items()
        }
    except LakeError as error:
        _LOG.debug("no listing: %s", error)
        return {}


def _explained(error: BaseException) -> LakeError:
    """An unforeseen error fails its own partition only, and leaves its traceback in the log."""
    if isinstance(error, LakeError):
        return error
    _LOG.error("unforeseen", exc_info=error)
    return PermanentError("an unforeseen error", found=f"{type(error).__name__}: {error}")
