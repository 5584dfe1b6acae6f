"""Snapshots of a plain folder, in this process or in one that is killed: no server is needed."""

from __future__ import annotations

import multiprocessing
import os
import random
import signal
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from threading import RLock

import lake.snapshot
from lake.base.day import Day
from lake.config.settings import load
from lake.restore.files import restore_files
from lake.snapshot import SnapshotOutcome, take_snapshot
from lake.snapshots import collecting
from lake.snapshots.manifest import read_snapshot
from lake.snapshots.taken import Taken
from lake.store import Store, open_store
from lake.store.directory import DirectoryStore
from support.forked import started
from support.places import noon

DAY = Day.parse("2026-07-05")
PIECE = 1 << 20


@dataclass(frozen=True)
class FolderSnapshotter:
    """Each file by itself, so that one is stored and journalled before the next one begins."""

    folder: Path
    stepwise: bool = False

    def take(self, day: Day, into: collecting.Collector) -> Taken:
        for path in sorted(self.folder.rglob("*")):
            if path.is_file():
                into.file(path, path.relative_to(self.folder).as_posix(), pack=True)
                if self.stepwise:
                    into.wait()
                    into.note("so far", path.name)  # writes the journal at once
        return Taken({"name": "Folder", "version": "1"}, {"start": None, "end": None}, {})

    def close(self) -> None:
        pass


@dataclass(frozen=True)
class Folders:
    """A configuration, and a folder that stands for Loki's files."""

    config: Path
    source: Path
    environment: dict[str, str]

    @property
    def store(self) -> Store:
        return open_store(load(str(self.config), {}))

    def fill(self, files: int = 6, size: int = 2 * PIECE + 5, seed: int = 1) -> None:
        """Large files of three pieces, and some small ones."""
        chance = random.Random(seed)
        self.source.mkdir(exist_ok=True)
        for number in range(files):
            (self.source / f"large-{number}").write_bytes(chance.randbytes(size))
        (self.source / "small/deep").mkdir(parents=True, exist_ok=True)
        for number in range(20):
            (self.source / f"small/deep/file-{number}").write_bytes(chance.randbytes(number * 50))

    def take(self, day: Day = DAY, stepwise: bool = False) -> SnapshotOutcome:
        """In this process; large files are those over a MiB."""
        kept = collecting._PIECE_BYTES, collecting._SMALL_BYTES
        opened = lake.snapshot.open_snapshotter
        collecting._PIECE_BYTES, collecting._SMALL_BYTES = PIECE, 4096
        lake.snapshot.open_snapshotter = lambda *_: FolderSnapshotter(self.source, stepwise)
        try:
            return take_snapshot(
                load(str(self.config), {}), self.store, "loki", clock=lambda: noon(day)
            )
        finally:
            collecting._PIECE_BYTES, collecting._SMALL_BYTES = kept
            lake.snapshot.open_snapshotter = opened

    def restore(self, into: Path, progress=lambda _bytes: None):
        return restore_files(
            self.store, read_snapshot(self.store, "loki", DAY), into, "x", progress
        )

    def in_a_process(self, what, *arguments) -> multiprocessing.Process:
        return started(what, self, *arguments, environment=self.environment)


def take_until(folders: Folders, fault: str, day: Day = DAY) -> None:
    """A snapshot; LAKE_FAULT ends or stops it."""
    os.environ["LAKE_FAULT"] = fault
    if fault.startswith("SIGSTOP"):
        _stop_without_the_lock()
    folders.take(day, stepwise=True)


def _stop_without_the_lock() -> None:
    """A process that stops while one of its threads has the directory's lock keeps it for ever."""
    guard, alone, send = RLock(), DirectoryStore._alone, signal.raise_signal

    @contextmanager
    def guarded(store: DirectoryStore) -> Iterator[None]:
        with guard, alone(store):
            yield

    def stop(number: int) -> None:
        with guard:
            send(number)

    DirectoryStore._alone = guarded
    signal.raise_signal = stop


def restore_until(folders: Folders, into: Path, most: int) -> None:
    """A restore whose process kills itself after `most` bytes."""
    come = 0

    def progress(more: int) -> None:
        nonlocal come
        come += more
        if come >= most:
            os.kill(os.getpid(), signal.SIGKILL)

    folders.restore(into, progress)


def contents(folder: Path) -> dict[str, bytes]:
    return {
        path.relative_to(folder).as_posix(): path.read_bytes()
        for path in folder.rglob("*")
        if path.is_file()
    }
