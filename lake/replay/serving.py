"""Partitions in running servers: started, loaded, compared, kept in a directory or thrown away.

Belongs here: the order of the steps, a directory's mark. Does not: how each system is
written to (a module each), options of the command line.

A directory holds `replay.json`, with what was replayed into it (each partition with its
SHA-256), in which folder below it the servers' data are, and whether all of it is there. A
replay that was interrupted begins again, in a folder of its own.
"""

from __future__ import annotations

import json
import shutil
import time
import uuid
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, closing, contextmanager, nullcontext
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, TextIO

from lake.base.errors import Incomplete, UsageError
from lake.config.settings import Settings
from lake.replay.programs import programs_for
from lake.restore.directory import locked, serving, unusable
from lake.servers import Binary, Stack, start
from lake.servers.progress import Progress, silent
from lake.store import Store
from lake.systems import SYSTEMS
from lake.systems.loading import Loaded, Remarks, Target
from lake.systems.partitions import Partition
from lake.systems.protocol import Loader
from lake.systems.registry import system

MARK = "replay.json"
_LOCK = "replay.lock"
_SHOWN = 10


@dataclass
class Replayed:
    """Running servers and what they hold.

    `days` has, by dataset and day, the table's `rows`, how many of them a question can count
    (`countable`: stale markers are none of these) and how many the server `found`.
    """

    stack: Stack
    database: str = ""
    days: dict[str, dict[str, dict[str, int]]] = field(default_factory=dict)
    remarks: list[str] = field(default_factory=list)
    seconds: float = 0.0

    @property
    def endpoints(self) -> dict[str, dict[str, str]]:
        """As `lake services up` prints them."""
        return self.stack.endpoints


@contextmanager
def replayed(
    settings: Settings,
    store: Store,
    partitions: Sequence[Partition],
    into: Path | None = None,
    progress: Progress = silent,
) -> Iterator[Replayed]:
    """One server per system, loaded with the partitions and compared with their counts.

    The servers run until the block ends. With `into` their data stay there, and the same
    replay finds them loaded; without it they are thrown away. Raises Incomplete where a
    server differs from the manifests; UsageError for a directory of something
    else; PermanentError where a server's program is missing; what store and servers raise.
    """
    systems = [name for name in SYSTEMS if any(p.dataset.source == name for p in partitions)]
    for name in systems:
        system(name).require_replayable([partition.dataset for partition in partitions])
    place = _Place(into, partitions) if into else None
    programs, other_versions = programs_for(store, partitions, systems)
    options = _options(partitions, programs)
    folder = place.folder if place else None
    began = time.monotonic()
    with (
        closing(place) if place else nullcontext(),
        serving(into) if into else nullcontext(),
        start(systems, folder, progress, programs=programs, **options) as stack,
    ):
        result = Replayed(stack, database_of(settings))
        if place and place.loaded:
            loaded, remarks = place.loaded, place.remarks
        else:
            loaded, remarks = _load(settings, store, partitions, stack, programs, progress)
        result.days = _compared(settings, store, partitions, stack, programs, loaded, progress)
        if place:
            place.finished(loaded, remarks)
        result.remarks = [*other_versions, *remarks]
        result.seconds = time.monotonic() - began
        yield result


Key = tuple[str, str]  # dataset, day


def _load(
    settings: Settings,
    store: Store,
    partitions: Sequence[Partition],
    stack: Stack,
    programs: Mapping[str, Binary],
    progress: Progress,
) -> tuple[dict[Key, Loaded], list[str]]:
    remarks = Remarks()
    loaded: dict[Key, Loaded] = {}
    for name in stack.endpoints:
        endpoint, program = stack.endpoints[name], programs[name]
        target = Target(settings, store, partitions, endpoint, program, remarks)
        with closing(system(name).open_loader(target)) as loader:
            mine = sorted(
                (partition for partition in partitions if partition.dataset.source == name),
                key=loader.order_of,
            )
            for number, part in enumerate(mine, 1):
                progress(name, f"{part.dataset.name} {part.day} ({number} of {len(mine)})")
                loaded[part.dataset.name, str(part.day)] = loader.load(part)
                if number == len(mine) or mine[number].day != part.day:
                    loader.end_of_day()
            loader.finish()
    return loaded, remarks.texts()


def _compared(
    settings: Settings,
    store: Store,
    partitions: Sequence[Partition],
    stack: Stack,
    programs: Mapping[str, Binary],
    loaded: dict[Key, Loaded],
    progress: Progress,
) -> dict[str, dict[str, dict[str, int]]]:
    """What the servers find. Raises Incomplete, naming the partitions that differ."""
    days: dict[str, dict[str, dict[str, int]]] = {}
    wrong = []
    with ExitStack() as open_loaders:
        loaders: dict[str, Loader] = {}
        for server, endpoint in stack.endpoints.items():
            target = Target(settings, store, partitions, endpoint, programs[server], Remarks())
            loader = open_loaders.enter_context(closing(system(server).open_loader(target)))
            loaders[server] = loader
        for day in sorted({partition.day for partition in partitions}):
            for server, loader in loaders.items():
                mine = {
                    partition.dataset.name: loaded[partition.dataset.name, str(day)]
                    for partition in partitions
                    if partition.day == day and partition.dataset.source == server
                }
                if not mine:
                    continue
                progress(server, f"counting {day}")
                for name, counted in loader.count(day, mine).items():
                    expected = mine[name]
                    counts = {
                        "rows": expected.rows,
                        "countable": expected.countable,
                        "found": counted,
                    }
                    days.setdefault(name, {})[str(day)] = counts
                    if not expected.at_least <= counted <= expected.countable:
                        wrong.append(f"{name} {day}: {counted}, not {expected.countable}")
    if wrong:
        more = f" and {len(wrong) - _SHOWN} more" if len(wrong) > _SHOWN else ""
        raise Incomplete(
            "the temporary servers differ from the manifests",
            where=", ".join(stack.endpoints),
            found="; ".join(wrong[:_SHOWN]) + more,
            remedy="replay again, into a new directory",
        )
    return days


def database_of(settings: Settings) -> str:
    """The source's, which the temporary server has, too; "" without MongoDB."""
    return settings.sources.mongo.database if settings.sources.mongo else ""


def _options(partitions: Sequence[Partition], programs: Mapping[str, Binary]) -> dict[str, Any]:
    options: dict[str, Any] = {}
    for name, program in programs.items():
        mine = [partition for partition in partitions if partition.dataset.source == name]
        options |= system(name).replay_options(mine, program)
    return options


class _Place:
    """A directory that keeps what was replayed: its mark, and the folder of the servers."""

    def __init__(self, into: Path, partitions: Sequence[Partition]) -> None:
        self._into = into
        self._wanted = [
            [partition.dataset.name, str(partition.day), partition.manifest.sha256]
            for partition in partitions
        ]
        self.loaded: dict[Key, Loaded] = {}
        self.remarks: list[str] = []
        _read_mark(into)  # before anything is made there
        self._lock = _locked(into)
        try:
            self.folder = self._begun()
        except BaseException:
            self.close()
            raise

    def _begun(self) -> Path:
        """The folder of the servers: that of the same replay, or a new one."""
        into = self._into
        mark = _read_mark(into)
        if mark is not None and mark["partitions"] != self._wanted:
            raise UsageError(
                "something else was replayed there",
                where=into,
                expected="a new or empty directory, or one of the same datasets and days",
                found=", ".join(sorted({name for name, _, _ in mark["partitions"]})),
                remedy="name another directory, or `lake replay --into DIR --down` first",
            )
        if mark is not None and "loaded" in mark:
            self.loaded = {(name, day): Loaded(**counts) for name, day, counts in mark["loaded"]}
            self.remarks = mark["remarks"]
            return into / str(mark["folder"])
        self._remove_others("")
        folder = into / f"servers-{uuid.uuid4().hex[:8]}"
        self._mark(folder, {})
        return folder

    def _remove_others(self, own: str) -> None:
        """What replays that were killed left. Their servers, which are ending, may still write."""
        for folder in self._into.glob("servers-*"):
            if folder.name != own:
                shutil.rmtree(folder, ignore_errors=True)

    def finished(self, loaded: dict[Key, Loaded], remarks: list[str]) -> None:
        """All of it is there and was compared."""
        self._remove_others(self.folder.name)
        listed = [[name, day, asdict(counts)] for (name, day), counts in loaded.items()]
        self._mark(self.folder, {"loaded": listed, "remarks": remarks})

    def _mark(self, folder: Path, more: dict[str, Any]) -> None:
        content = {"partitions": self._wanted, "folder": folder.name, **more}
        half = self._into / f"{MARK}.tmp"
        half.write_text(json.dumps(content) + "\n", encoding="utf-8")
        half.replace(self._into / MARK)

    def close(self) -> None:
        """Another process may use it."""
        self._lock.close()


def _locked(into: Path) -> TextIO:
    """Held by this process until it ends or the file is closed. Raises UsageError."""
    try:
        into.mkdir(mode=0o700, parents=True, exist_ok=True)  # for this user alone
    except OSError as error:
        raise unusable(into, error) from error
    return locked(into / _LOCK)


def _read_mark(into: Path) -> dict[str, Any] | None:
    """The directory's mark; None where it is new or empty. Raises UsageError."""
    mark = into / MARK
    if mark.exists():
        try:
            content: dict[str, Any] = json.loads(mark.read_text("utf-8"))
            _ = content["partitions"], content["folder"]
        except (OSError, ValueError, KeyError, TypeError) as error:
            raise UsageError(
                "not a file that `lake replay` wrote", where=mark, found=error
            ) from error
        return content
    if into.exists() and (not into.is_dir() or {entry.name for entry in into.iterdir()} - {_LOCK}):
        raise UsageError(
            "the directory is not empty",
            where=into,
            expected="a new or empty directory, or one of the same replay",
            remedy="name another one",
        )
    return None


def require_replay(into: Path) -> None:
    """Raises UsageError where nothing was replayed there."""
    if _read_mark(into) is None:
        raise UsageError("nothing was replayed there", where=into, expected=f"a file {MARK}")
