"""A snapshot brought back for a moment: a temporary directory, a server, a stopwatch.

Belongs here: that nothing is left behind, whatever happens. Does not: what is asked.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass
from datetime import datetime

from lake.base.datasets import MongoDataset
from lake.base.scratch import scratch_directory
from lake.base.settings import LokiSource, MongoSource, PrometheusSource, Settings
from lake.base.store import Store
from lake.systems.loki.rehearsal import LokiQuestions
from lake.systems.mongo.rehearsal import MongoQuestions
from lake.systems.prometheus.rehearsal import PrometheusQuestions
from lake.rehearse.comparing import Questions
from lake.systems.comparison import Recovery
from lake.restore.files import restore_files
from lake.restore.server import BELOW, Served, serve
from lake.snapshots.manifest import SnapshotManifest
from lake.systems.source import Source
from lake.systems.loki.reading import LokiReader
from lake.systems.mongo.reading import MongoReader
from lake.systems.prometheus.reading import PrometheusReader

Told = Callable[[str], None]


@dataclass(frozen=True)
class Recovered:
    """A restored server that answers. `source` reads it as an export reads."""

    served: Served
    source: Source
    questions: Questions
    times: Recovery


@contextmanager
def recovered(
    settings: Settings, store: Store, manifest: SnapshotManifest, told: Told
) -> Iterator[Recovered]:
    """The server, while the block runs. After it, or an error, server and files are gone.

    Raises what restoring, serving and asking raise.
    """
    loki = settings.sources.loki
    tenant = loki.tenant if loki else ""
    with scratch_directory("lake-rehearsal-") as folder:
        into, begun = folder / "restored", time.monotonic()
        told("downloading")
        restore_files(store, manifest, into, BELOW[manifest.system])
        downloaded = time.monotonic()
        told("starting the server")
        served = serve(manifest, into, tenant)
        with served.stack:
            started = time.monotonic()
            source, asking = _both(settings, manifest, served, tenant)
            with closing(source), closing(asking) as questions:
                questions.first_answer(datetime.fromisoformat(manifest.created_at))
                answered = time.monotonic()
                times = Recovery(downloaded - begun, started - downloaded, answered - started)
                yield Recovered(served, source, questions, times)


def _both(
    settings: Settings, manifest: SnapshotManifest, served: Served, tenant: str
) -> tuple[Source, Questions]:
    endpoint = served.endpoint
    if manifest.system == "prometheus":
        prometheus = PrometheusSource(url=endpoint["url"], slow_down_at="")
        return PrometheusReader(prometheus), PrometheusQuestions(endpoint)
    if manifest.system == "loki":
        loki = LokiSource(url=endpoint["url"], tenant=tenant, slow_down_at="")
        return LokiReader(loki), LokiQuestions(endpoint, served.version, tenant)
    database = str(manifest.details["database"])
    mongo = MongoSource(uri=endpoint["uri"], database=database, slow_down_at="")
    datasets = [one for one in settings.dataset if isinstance(one, MongoDataset)]
    return MongoReader(mongo), MongoQuestions(mongo, datasets)
