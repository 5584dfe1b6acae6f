"""A configuration, and the short ways to take, restore and serve what it names."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

from lake.base.day import Day
from lake.config.settings import Settings, load
from lake.restore.files import Restored, restore_files
from lake.restore.server import Served, serve
from lake.snapshot import SnapshotOutcome, take_snapshot
from lake.snapshots.manifest import SnapshotManifest, read_snapshot
from lake.store import Store, open_store
from lake.systems.registry import system as registered

DAY = Day.today().plus(-1)  # of data
TODAY = DAY.plus(1)


def noon(day: Day) -> datetime:
    """A clock for snapshots of another day than today."""
    return day.start + timedelta(hours=12)


@dataclass(frozen=True)
class Place:
    """A configuration, its store, a folder to restore into."""

    config: Path
    folder: Path

    @property
    def settings(self) -> Settings:
        return load(str(self.config), {})

    @property
    def store(self) -> Store:
        return open_store(self.settings)

    def take(self, system: str, on: Day = TODAY, **how: Any) -> SnapshotOutcome:
        """Of now; `on` another day the clock shows noon."""
        if on != TODAY:
            how["clock"] = lambda: noon(on)
        return take_snapshot(self.settings, self.store, system, **how)

    def manifest(self, system: str, day: Day = TODAY) -> SnapshotManifest:
        return read_snapshot(self.store, system, day)

    def restore(self, system: str, into: Path | None = None, day: Day = TODAY) -> Restored:
        manifest = self.manifest(system, day)
        return restore_files(
            self.store, manifest, into or self.folder / "into", registered(system).restored_below
        )

    def serve(self, system: str, into: Path | None = None, day: Day = TODAY) -> Served:
        tenant = self.settings.sources.loki.tenant if self.settings.sources.loki else ""
        return serve(self.manifest(system, day), into or self.folder / "into", tenant)

    @contextmanager
    def served(self, system: str, into: Path | None = None, day: Day = TODAY) -> Iterator[Served]:
        """Killed at the end: quicker than stopping, and nobody needs the data again."""
        served = self.serve(system, into, day)
        with served.stack:
            yield served
            served.stack[system].kill()
