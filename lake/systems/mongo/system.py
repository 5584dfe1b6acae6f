"""MongoDB as a system. Each method imports the module that does its work.

Belongs here: the protocol's methods, one call each. Does not: that work.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from lake.base.day import Day
from lake.config.datasets import Dataset
from lake.config.overrides import Key, without_secrets
from lake.config.settings import Settings
from lake.snapshots.manifest import SnapshotManifest
from lake.systems.loading import Target
from lake.systems.mongo.config import MongoDataset, MongoSource
from lake.systems.protocol import Expiry, Loader, Questions, Snapshotter, Source, System, code

if TYPE_CHECKING:
    from lake.servers import Binary
    from lake.systems.check import Check
    from lake.systems.discovered import DiscoveredSource
    from lake.systems.partitions import Partition

_TO_BE_FOUND = "/"  # no database is called so


class Mongo(System):
    """See lake.systems.protocol.System."""

    name = "mongo"
    title = "MongoDB"
    program = "mongod"
    rows = "documents"
    address = "uri"
    has_snapshots = True
    restored_below = "dump"
    reads_other_versions = True  # documents are loaded, not files opened
    image = "mongo:{}"
    placeholders: Mapping[str, str] = {"database": _TO_BE_FOUND}

    def open_source(self, section: MongoSource) -> Source:
        from lake.systems.mongo.reading import MongoReader

        return MongoReader(section)

    def time_column(self, dataset: Dataset) -> str:
        assert isinstance(dataset, MongoDataset)  # noqa: S101  the registry's choice
        return dataset.time_field

    def describe(self, dataset: Dataset) -> str:
        assert isinstance(dataset, MongoDataset)  # noqa: S101  the registry's choice
        fallback = f", else of `{dataset.time_fallback}`" if dataset.time_fallback else ""
        return (
            f"Documents of the collection {code(dataset.collection)}, "
            f"by the UTC day of {code(dataset.time_field)}{fallback}."
        )

    def where_rows_expire(self, section: MongoSource) -> MongoSource:
        from lake.systems.mongo.reading.uri import of_primary

        return section.model_copy(update={"uri": of_primary(section.uri)})

    def open_expiry(self, settings: Settings) -> Expiry:
        from lake.systems.mongo.expiry import MongoExpiry

        return MongoExpiry(settings.sources.mongo)

    def open_snapshotter(self, settings: Settings) -> Snapshotter:
        from lake.systems.mongo.snapshot.taking import MongoSnapshotter

        return MongoSnapshotter(settings)

    def files_are_here(self, settings: Settings) -> bool:
        return True  # a dump comes through the connection

    def amounts(self, settings: Settings, manifest: SnapshotManifest) -> Iterator[tuple[str, int]]:
        documents: dict[str, int] = manifest.counts.get("documents", {})
        yield "documents", sum(documents.values())
        for collection in dict.fromkeys(each.collection for each in _datasets(settings)):
            if collection in documents:
                yield f"documents of {collection}", documents[collection]

    def origin(self, manifest: SnapshotManifest) -> str:
        return f"database {manifest.details.get('database')}"

    def counted(self, manifest: SnapshotManifest, dataset: Dataset) -> bool:
        from lake.systems.mongo.snapshot.held import was_counted

        assert isinstance(dataset, MongoDataset)  # noqa: S101  the registry's choice
        return was_counted(manifest, dataset)

    def require_held(
        self,
        settings: Settings,
        manifest: SnapshotManifest,
        into: Path,
        dataset: Dataset,
        day: Day,
        *,
        unproven: bool,
    ) -> None:
        from lake.systems.mongo.snapshot.held import require_held

        assert isinstance(dataset, MongoDataset)  # noqa: S101  the registry's choice
        require_held(settings, manifest, into, dataset, day, unproven=unproven)

    def server_options(
        self, manifest: SnapshotManifest, into: Path, program: Binary
    ) -> dict[str, Any]:
        return {"mongo_ttl": False}

    def check_restored(
        self, manifest: SnapshotManifest, into: Path, endpoint: Mapping[str, str], tenant: str
    ) -> tuple[dict[str, Any], list[str]]:
        from lake.systems.mongo.restored import loaded

        return loaded(manifest, into, endpoint["uri"])

    def image_tag(self, version: str) -> str:
        return ".".join(version.removeprefix("v").split(".")[:2])

    def compose_service(self, manifest: SnapshotManifest, into: Path) -> dict[str, Any]:
        from lake.systems.mongo.restored import compose_service

        return compose_service(into)

    def next_steps(self, endpoint: Mapping[str, str], day: Day, database: str) -> list[str]:
        from lake.systems.mongo.restored import next_steps

        return next_steps(endpoint["uri"], database)

    def require_replayable(self, datasets: Sequence[Dataset]) -> None:
        from lake.systems.mongo.replay.loader import check

        check(datasets)

    def replay_options(self, partitions: Sequence[Partition], program: Binary) -> dict[str, Any]:
        return {"mongo_ttl": False}

    def open_loader(self, target: Target) -> Loader:
        from lake.systems.mongo.replay.loader import MongoLoader

        section = target.settings.sources.mongo
        database = section.database if section else ""
        datasets = [
            partition.dataset
            for partition in target.partitions
            if isinstance(partition.dataset, MongoDataset)
        ]
        return MongoLoader(target.store, target.endpoint["uri"], database, datasets, target.remarks)

    def recovered(
        self,
        settings: Settings,
        manifest: SnapshotManifest,
        endpoint: Mapping[str, str],
        version: str,
        tenant: str,
    ) -> tuple[Source, Questions]:
        from lake.systems.mongo.reading import MongoReader
        from lake.systems.mongo.rehearsal import MongoQuestions

        database = str(manifest.details["database"])
        section = MongoSource(uri=endpoint["uri"], database=database, slow_down_at="")
        return MongoReader(section), MongoQuestions(section, _datasets(settings))

    def look(self, section: MongoSource) -> DiscoveredSource:
        from lake.systems.mongo.discovery import look

        named = None if section.database == _TO_BE_FOUND else section.database
        return look(section, named, without_secrets(section.uri))

    def secret_keys(self, section: MongoSource) -> list[Key]:
        return [("uri",)] if section.uri != without_secrets(section.uri) else []

    def diagnose(self, settings: Settings) -> Iterator[Check]:
        from lake.systems.mongo.diagnosis import check

        return check(settings)

    def diagnose_snapshots(self, settings: Settings) -> Iterator[Check]:
        from lake.systems.mongo.diagnosis import check_snapshots

        return check_snapshots(settings)


def _datasets(settings: Settings) -> list[MongoDataset]:
    return [dataset for dataset in settings.dataset if isinstance(dataset, MongoDataset)]


SYSTEM = Mongo()
