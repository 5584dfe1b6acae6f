"""A copy of a loaded lake to recover from, and what was restored and started for it.

Belongs here: fixtures that a conftest or a test's file imports. Does not: the lake (loaded_site),
sources that are gone (gone_sources).
"""

from __future__ import annotations

import os
import socket
import tempfile
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest

from lake.restore import recovering
from lake.restore.files import restore_files
from lake.restore.server import Served, serve
from lake.snapshots.manifest import SnapshotManifest
from lake.store import Store
from support.loaded_site import Site


@dataclass(frozen=True)
class TemporaryServer:
    """By its process and its address."""

    pid: int
    url: str

    @property
    def is_up(self) -> bool:
        """Whether its process runs or something listens at its address."""
        address = urlsplit(self.url)
        with socket.socket() as probe:
            if probe.connect_ex((address.hostname, address.port)) == 0:
                return True
        try:
            os.kill(self.pid, 0)
        except ProcessLookupError:
            return False
        return True


@dataclass
class Restores:
    """What was restored, as (system, day taken), and the servers that were started on it."""

    snapshots: list[tuple[str, str]] = field(default_factory=list)
    servers: list[TemporaryServer] = field(default_factory=list)


@pytest.fixture
def own(site: Site, tmp_path: Path) -> Site:
    """The site's snapshots and tables, to be changed."""
    return site.copy(tmp_path / "own")


@pytest.fixture
def temporary(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Where temporary directories are made in this test: empty at its end."""
    folder = tmp_path / "tmp"
    folder.mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(folder))
    return folder


@pytest.fixture
def restores(monkeypatch: pytest.MonkeyPatch) -> Restores:
    """Notes each restore of the test."""
    noted = Restores()

    def restored(store: Store, manifest: SnapshotManifest, *rest: Any) -> Any:
        noted.snapshots.append((manifest.system, manifest.day))
        return restore_files(store, manifest, *rest)

    def served(manifest: SnapshotManifest, *args: Any, **options: Any) -> Served:
        server = serve(manifest, *args, **options)
        url = server.endpoint.get("url") or server.endpoint["uri"]
        noted.servers.append(TemporaryServer(server.stack[manifest.system].pid, url))
        return server

    monkeypatch.setattr(recovering, "restore_files", restored)
    monkeypatch.setattr(recovering, "serve", served)
    return noted
