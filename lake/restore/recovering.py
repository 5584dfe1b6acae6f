"""Restores a snapshot temporarily, runs a server on it and measures the time.

Belongs here: that nothing is left behind, whatever happens. Does not: the queries.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from lake.config.settings import Settings
from lake.process.scratch import scratch_directory
from lake.restore.files import restore_files
from lake.restore.server import Served, serve
from lake.snapshots.manifest import SnapshotManifest
from lake.store import Store
from lake.systems.comparison import Recovery
from lake.systems.protocol import Questions, Source
from lake.systems.registry import system, tenant_of
from lake.systems.unquoting import UnquotingSource

StepProgress = Callable[[str], None]


@dataclass(frozen=True)
class Recovered:
    """A restored server that answers. `source` reads it as an export reads.

    `directory` is that of the restore, `manifest` the snapshot's.
    """

    manifest: SnapshotManifest
    directory: Path
    served: Served
    source: Source
    questions: Questions
    times: Recovery


@contextmanager
def recovered(
    settings: Settings, store: Store, manifest: SnapshotManifest, progress: StepProgress
) -> Iterator[Recovered]:
    """The server, while the block runs. After it, or an error, server and files are gone.

    Raises what restoring, serving and reading raise.
    """
    tenant = tenant_of(settings, manifest.system)
    restored = system(manifest.system)
    with scratch_directory("lake-restore-") as folder:
        into, begun = folder / "restored", time.monotonic()
        progress("downloading")
        restore_files(store, manifest, into, restored.restored_below)
        downloaded = time.monotonic()
        progress("starting the server")
        served = serve(manifest, into, tenant)
        with served.stack:
            try:
                started = time.monotonic()
                source, asking = restored.recovered(
                    settings, manifest, served.endpoint, served.version, tenant
                )
                source = UnquotingSource(source)
                with closing(source), closing(asking) as questions:
                    questions.first_answer(datetime.fromisoformat(manifest.created_at))
                    answered = time.monotonic()
                    times = Recovery(downloaded - begun, started - downloaded, answered - started)
                    yield Recovered(manifest, into, served, source, questions, times)
            except BaseException:
                served.stack[restored.name].kill()  # an interrupt need not wait for an orderly end
                raise
