"""A copy of a loaded lake whose sources are gone, and a count of what is restored."""

from __future__ import annotations

import tempfile
from dataclasses import dataclass
from pathlib import Path

import pytest
from support.command_line import runner
from support.loaded_site import Site

from lake.restore import recovering
from lake.restore.files import restore_files
from lake.restore.server import serve


@dataclass
class Restores:
    """What was restored, as (system, day taken), and the servers' process ids."""

    snapshots: list[tuple[str, str]]
    pids: list[int]


@pytest.fixture
def own(site: Site, tmp_path: Path) -> Site:
    """The site's snapshots and tables, to be changed."""
    return site.copy(tmp_path / "own")


@pytest.fixture(autouse=True)
def temporary(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Where temporary directories are made in this test."""
    folder = tmp_path / "tmp"
    folder.mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(folder))
    return folder


@pytest.fixture
def restores(monkeypatch: pytest.MonkeyPatch) -> Restores:
    noted = Restores([], [])

    def restored(store, manifest, *rest):
        noted.snapshots.append((manifest.system, manifest.day))
        return restore_files(store, manifest, *rest)

    def served(manifest, *rest):
        server = serve(manifest, *rest)
        noted.pids.append(server.stack[manifest.system].pid)
        return server

    monkeypatch.setattr(recovering, "restore_files", restored)
    monkeypatch.setattr(recovering, "serve", served)
    return noted


@pytest.fixture
def lake(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]):
    """Runs the command line: exit status, standard output, standard error."""
    with runner(monkeypatch, capsys) as run:
        yield run
