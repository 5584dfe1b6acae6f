"""Prometheus, Thanos Query and Mimir as a system. Each method imports what does its work.

Belongs here: the protocol's methods, one call each. Does not: that work.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from lake.base.day import Day
from lake.config.datasets import Dataset
from lake.config.overrides import Key
from lake.config.settings import Settings
from lake.snapshots.manifest import SnapshotManifest
from lake.store import Store
from lake.systems.loading import Target
from lake.systems.prometheus.config import PrometheusDataset, PrometheusSource
from lake.systems.protocol import Loader, Questions, Snapshotter, Source, System, code

if TYPE_CHECKING:
    from lake.servers import Binary
    from lake.systems.check import Check
    from lake.systems.discovered import DiscoveredSource
    from lake.systems.partitions import Partition
    from lake.systems.rollup import Rollup


class Prometheus(System):
    """See lake.systems.protocol.System."""

    name = "prometheus"
    title = "Prometheus"
    program = "prometheus"
    rows = "metrics"
    address = "url"
    has_snapshots = True
    restored_below = "prometheus/data"
    reads_other_versions = False
    image = "prom/prometheus:v{}"
    grafana_type = "prometheus"
    label_free = frozenset(
        ("ts", "metric", "value", "nan", "series_id", "histogram", "labels", "day")
    )

    def open_source(self, section: PrometheusSource) -> Source:
        from lake.systems.prometheus.reading import PrometheusReader

        return PrometheusReader(section)

    def describe(self, dataset: Dataset) -> str:
        assert isinstance(dataset, PrometheusDataset)  # noqa: S101  the registry's choice
        how = "Stored samples" if dataset.mode == "raw" else f"Values every {dataset.step}"
        return f"{how} of {code(dataset.query)}."

    def rollup(self, dataset: Dataset) -> Rollup:
        from lake.systems.prometheus.rollup.hourly import HourlySeries

        return HourlySeries()

    def open_snapshotter(self, settings: Settings) -> Snapshotter:
        from lake.systems.prometheus.snapshot.taking import PrometheusSnapshotter

        return PrometheusSnapshotter(settings)

    def files_are_here(self, settings: Settings) -> bool:
        return Path(settings.snapshots.prometheus.data_dir).is_dir()

    def amounts(self, settings: Settings, manifest: SnapshotManifest) -> Iterator[tuple[str, int]]:
        yield "samples", int(manifest.counts.get("samples", 0))

    def origin(self, manifest: SnapshotManifest) -> str:
        name = manifest.server.get("name")
        return str(manifest.details.get("data_dir") or f"{name}'s data")

    def covers(self, manifest: SnapshotManifest, dataset: Dataset, day: Day) -> bool:
        from lake.systems.prometheus.snapshot.covering import covers

        assert isinstance(dataset, PrometheusDataset)  # noqa: S101  the registry's choice
        return covers(manifest, dataset, day)

    def server_options(
        self, manifest: SnapshotManifest, into: Path, program: Binary
    ) -> dict[str, Any]:
        return {}

    def check_restored(
        self, manifest: SnapshotManifest, into: Path, endpoint: Mapping[str, str], tenant: str
    ) -> tuple[dict[str, Any], list[str]]:
        from lake.systems.prometheus.restored import samples

        return samples(manifest, endpoint["url"])

    def image_tag(self, version: str) -> str:
        return version.partition("+")[0].removeprefix("v")

    def compose_service(self, manifest: SnapshotManifest, into: Path) -> dict[str, Any]:
        from lake.systems.prometheus.restored import compose_service

        return compose_service()

    def next_steps(self, endpoint: Mapping[str, str], day: Day, database: str) -> list[str]:
        from lake.systems.prometheus.restored import next_steps

        return next_steps(endpoint["url"], day)

    def require_replayable(self, datasets: Sequence[Dataset]) -> None:
        return

    def needed_version(self, store: Store, partitions: Sequence[Partition]) -> str:
        from lake.systems.prometheus.replay.versions import needed_version

        return needed_version(store, partitions)

    def open_loader(self, target: Target) -> Loader:
        from lake.systems.prometheus.replay.loader import PrometheusLoader

        return PrometheusLoader(target.store, target.endpoint["url"], target.remarks)

    def recovered(
        self,
        settings: Settings,
        manifest: SnapshotManifest,
        endpoint: Mapping[str, str],
        version: str,
        tenant: str,
    ) -> tuple[Source, Questions]:
        from lake.systems.prometheus.reading import PrometheusReader
        from lake.systems.prometheus.rehearsal import PrometheusQuestions

        section = PrometheusSource(url=endpoint["url"], slow_down_at="")
        return PrometheusReader(section), PrometheusQuestions(endpoint)

    def look(self, section: PrometheusSource) -> DiscoveredSource:
        from lake.http.credentials import public_keys
        from lake.systems.prometheus.discovery import look

        return look(section, public_keys(section))

    def secret_keys(self, section: PrometheusSource) -> list[Key]:
        from lake.http.credentials import secret_keys

        return secret_keys(section)

    def diagnose(self, settings: Settings) -> Iterator[Check]:
        from lake.systems.prometheus.diagnosis import check

        return check(settings)

    def diagnose_snapshots(self, settings: Settings) -> Iterator[Check]:
        from lake.systems.prometheus.diagnosis import check_snapshots

        return check_snapshots(settings)


SYSTEM = Prometheus()
