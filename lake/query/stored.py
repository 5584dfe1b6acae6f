"""The tables of a lake as its manifests describe them, each read once and again when they change.

Belongs here: which tables there are, reading their manifests. Does not: making them known to DuckDB
(session), their SQL (tables).
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from functools import partial

import duckdb

from lake.base.day import Day
from lake.config.rollups import rules_of
from lake.config.settings import Settings
from lake.partition.layout import (
    manifest_prefix,
    partition_of_manifest,
    partition_of_pending,
    rollup_manifest_prefix,
)
from lake.partition.ledger import read_manifest
from lake.partition.manifest import Manifest
from lake.query.hourly import hourly_table, hourly_views
from lake.query.levels import level_places, with_level
from lake.query.manifests import Manifests
from lake.query.small_objects import CONNECTIONS
from lake.query.tables import Table
from lake.query.zones import time_path
from lake.retired import read_retired
from lake.store import open_store


class StoredTables:
    """Datasets, and their rollups by the names of their views. Days are those that have a manifest
    when a table is read, or `forget_changed` was called last.
    """

    def __init__(
        self, settings: Settings, connected: Callable[[], duckdb.DuckDBPyConnection]
    ) -> None:
        self._settings = settings
        self._manifests = Manifests(connected, settings)
        self._level_places = level_places(settings.dataset)
        self._read: dict[str, Table] = {}
        self._looked: dict[str, float] = {}  # when its manifests were listed last
        # Over S3 each look is a request.
        self._looks_every_s = 1.0 if settings.lake.root.startswith("s3://") else 0.0
        self.datasets = [dataset.name for dataset in settings.dataset]
        self.hourly = hourly_views(self.datasets)
        self.with_level = {with_level(name): name for name in self._level_places}

    @property
    def names(self) -> list[str]:
        """All, datasets first."""
        return [*self.datasets, *self.hourly]

    @property
    def empty(self) -> list[Table]:
        """Those that have been read and have no day."""
        return [table for table in self._read.values() if not table.manifests]

    def table(self, name: str) -> Table:
        """Raises LakeError."""
        if name not in self._read:
            self._read[name] = self._table(name, self._stored(name))
        return self._read[name]

    def read(self, names: Iterable[str]) -> None:
        """Reads the manifests of several at once. Raises LakeError."""
        wanted = {*names}
        # What rollups are current shows in the manifests of their datasets.
        bases = {self.hourly.get(name, name) for name in wanted}
        missing = [
            *sorted(bases - self._read.keys()),
            *sorted(wanted - bases - self._read.keys()),
        ]
        if len(missing) < 2:  # a single one is read where it is needed
            return
        with ThreadPoolExecutor(CONNECTIONS) as pool:
            stored = zip(missing, pool.map(self._stored, missing), strict=True)
            for name, manifests in stored:
                self._read[name] = self._table(name, manifests)

    def forget_changed(self, names: Iterable[str]) -> set[str]:
        """Those of the names, and rollups of them, whose manifests are others than when they were
        read: they are read again. Objects are replaced in place, so a day that was written again
        would be read with the types that it had. Raises LakeError.
        """
        now = time.monotonic()
        wanted = {*names}
        for name in sorted(wanted | {self.hourly.get(name, name) for name in wanted}):
            if name not in self._read or now - self._looked[name] < self._looks_every_s:
                continue
            self._looked[name] = now
            if self._manifests.have_changed(self._prefix(name)):
                del self._read[name]
        # A rollup is current by the manifests of its dataset.
        for name, base in self.hourly.items():
            if name in self._read and base not in self._read:
                del self._read[name]
        return self._looked.keys() - self._read.keys()

    def _prefix(self, name: str) -> str:
        base = self.hourly.get(name)
        return rollup_manifest_prefix(base) if base else manifest_prefix(name)

    def _stored(self, name: str) -> list[tuple[str, bytes | None]]:
        """Keys and contents of the manifests."""
        self._looked[name] = time.monotonic()
        return list(self._manifests.read(self._prefix(name)))

    def _table(self, name: str, stored: Iterable[tuple[str, bytes | None]]) -> Table:
        if base := self.hourly.get(name):
            rollups = ((key, text) for key, text in stored if text)
            rules = rules_of(self._settings, self._settings.dataset_named(base))
            retired = partial(self._retired, base)
            return hourly_table(self.table(base), rollups, self._url, retired, rules)
        manifests = {}
        for key, text in stored:
            if text is None:  # a run writes there, or was killed: the object shows which is valid
                _, day = partition_of_pending(key) or ("", None)
                if day and (held := read_manifest(open_store(self._settings), name, day)):
                    manifests[day] = held
            elif partition := partition_of_manifest(key):
                manifests[partition[1]] = Manifest.from_bytes(text, self._url(key))
        dataset = self._settings.dataset_named(name)
        return Table(
            name,
            manifests,
            self._url,
            self._level_places.get(name),
            time=time_path(dataset, self.datasets),
            time_fallback=getattr(dataset, "time_fallback", None),
        )

    def _retired(self, dataset: str) -> frozenset[Day]:
        return read_retired(open_store(self._settings)).days(dataset)

    def _url(self, key: str) -> str:
        return f"{self._settings.lake.root.rstrip('/')}/{key}"
