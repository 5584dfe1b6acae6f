"""Loki as a system. Each method imports the module that does its work.

Belongs here: the protocol's methods, one call each. Does not: that work.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING, Any

from lake.base.day import Day
from lake.config.datasets import Dataset
from lake.config.overrides import Key
from lake.config.settings import Settings
from lake.snapshots.manifest import SnapshotManifest
from lake.store import Store
from lake.systems.loading import Target
from lake.systems.loki.config import LokiDataset, LokiSource
from lake.systems.protocol import Loader, Questions, Snapshotter, Source, System, code

if TYPE_CHECKING:
    from lake.servers import Binary
    from lake.systems.check import Check
    from lake.systems.discovered import DiscoveredSource
    from lake.systems.partitions import Partition
    from lake.systems.rollup import Rollup


class Loki(System):
    """See lake.systems.protocol.System."""

    name = "loki"
    title = "Loki"
    program = "loki"
    rows = "logs"
    address = "url"
    may_count_low = True
    has_snapshots = True
    restored_below = "loki"
    reads_other_versions = False
    image = "grafana/loki:{}"
    grafana_type = "loki"
    label_free = frozenset(("ts", "ts_ns", "stream_id", "line", "labels", "metadata", "day"))

    def open_source(self, section: LokiSource) -> Source:
        from lake.systems.loki.reading import LokiReader

        return LokiReader(section)

    def describe(self, dataset: Dataset) -> str:
        assert isinstance(dataset, LokiDataset)  # noqa: S101  the registry's choice
        return f"Lines of {code(dataset.selector)}."

    def zstd_levels(self) -> Mapping[str, int]:
        from lake.systems.loki.reading.table import ZSTD_LEVELS

        return ZSTD_LEVELS

    def rollup(self, dataset: Dataset) -> Rollup:
        from lake.systems.loki.rollup.hourly import HourlyStreams

        assert isinstance(dataset, LokiDataset)  # noqa: S101  the registry's choice
        return HourlyStreams(dataset.level_from)

    def open_snapshotter(self, settings: Settings) -> Snapshotter:
        from lake.systems.loki.snapshot.taking import LokiSnapshotter

        return LokiSnapshotter(settings)

    def files_are_here(self, settings: Settings) -> bool:
        return Path(settings.snapshots.loki.data_dir).is_dir()

    def amounts(self, settings: Settings, manifest: SnapshotManifest) -> Iterator[tuple[str, int]]:
        from lake.systems.loki.snapshot.chunks import parsed

        def is_chunk(path: str) -> bool:
            parts = PurePosixPath(path).parts
            return any(parsed("/".join(parts[-length:])) is not None for length in (1, 3))

        yield (
            "bytes of chunks",
            sum(file.bytes for file in manifest.files if is_chunk(file.path)),
        )

    def origin(self, manifest: SnapshotManifest) -> str:
        name = manifest.server.get("name")
        return str(manifest.details.get("data_dir") or f"{name}'s data")

    def server_options(
        self, manifest: SnapshotManifest, into: Path, program: Binary
    ) -> dict[str, Any]:
        from lake.systems.loki.restored import server_options

        return server_options(manifest, into, program)

    def check_restored(
        self, manifest: SnapshotManifest, into: Path, endpoint: Mapping[str, str], tenant: str
    ) -> tuple[dict[str, Any], list[str]]:
        from lake.systems.loki.restored import lines

        return lines(manifest, endpoint["url"], tenant), []

    def image_tag(self, version: str) -> str:
        return version.partition("+")[0].removeprefix("v")

    def compose_service(self, manifest: SnapshotManifest, into: Path) -> dict[str, Any]:
        from lake.systems.loki.restored import compose_service

        return compose_service(manifest, into)

    def next_steps(self, endpoint: Mapping[str, str], day: Day, database: str) -> list[str]:
        from lake.systems.loki.restored import next_steps

        return next_steps(endpoint["url"], day)

    def require_replayable(self, datasets: Sequence[Dataset]) -> None:
        return

    def needed_version(self, store: Store, partitions: Sequence[Partition]) -> str:
        from lake.systems.loki.replay.loader import needed_version

        return needed_version(partitions)

    def replay_options(self, partitions: Sequence[Partition], program: Binary) -> dict[str, Any]:
        from lake.systems.loki.replay.loader import server_options

        return server_options(min(partition.day for partition in partitions), program.version)

    def open_loader(self, target: Target) -> Loader:
        from lake.systems.loki.replay.loader import LokiLoader

        return LokiLoader(
            target.store, target.endpoint["url"], target.program.version, target.remarks
        )

    def recovered(
        self,
        settings: Settings,
        manifest: SnapshotManifest,
        endpoint: Mapping[str, str],
        version: str,
        tenant: str,
    ) -> tuple[Source, Questions]:
        from lake.systems.loki.reading import LokiReader
        from lake.systems.loki.rehearsal import LokiQuestions

        section = LokiSource(url=endpoint["url"], tenant=tenant, slow_down_at="")
        return LokiReader(section), LokiQuestions(endpoint, version, tenant)

    def look(self, section: LokiSource) -> DiscoveredSource:
        from lake.http.credentials import public_keys
        from lake.systems.loki.discovery import look

        return look(section, public_keys(section))

    def secret_keys(self, section: LokiSource) -> list[Key]:
        from lake.http.credentials import secret_keys

        return secret_keys(section)

    def diagnose(self, settings: Settings) -> Iterator[Check]:
        from lake.systems.loki.diagnosis import check

        return check(settings)

    def diagnose_snapshots(self, settings: Settings) -> Iterator[Check]:
        from lake.systems.loki.diagnosis import check_snapshots

        return check_snapshots(settings)


SYSTEM = Loki()
