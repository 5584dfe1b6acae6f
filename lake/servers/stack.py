"""Several servers that start together and stop together.

Belongs here: their directory, which ports they had, starting and stopping in parallel.
Does not: how one server is configured (a module each), where its program is (binaries).
"""

from __future__ import annotations

import importlib
import json
import shutil
import tempfile
import threading
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path
from types import TracebackType
from typing import Any, NoReturn, Self

from lake.base.causes import cause
from lake.base.errors import UsageError
from lake.servers.binaries import Binary, check_server, identify
from lake.servers.installing import install_all
from lake.servers.progress import Progress, silent
from lake.servers.recipe import Options, Recipe
from lake.servers.server import Server

_LOOK_S = 0.5
_PORTS_FILE = "ports.json"


class Stack:
    """Running servers: `stack["loki"]` is one of them, `stack.endpoints` are the addresses of all.

    A context manager that stops them. `directory` is where their data are, in
    `<directory>/<name>/data`.
    """

    def __init__(
        self,
        names: Iterable[str],
        directory: Path | None,
        progress: Progress,
        programs: Mapping[str, Binary | Path],
        options: Options,
    ) -> None:
        chosen = [check_server(name) for name in dict.fromkeys(names)]
        binaries = _programs(chosen, programs, progress)
        self._throw_away = directory is None
        self.directory = (directory or Path(tempfile.mkdtemp(prefix="lake-"))).absolute()
        _make(self.directory)
        self._cancelled = threading.Event()
        ports = self._remembered_ports()
        self._servers = {
            name: Server(
                name=name,
                program=program,
                recipe=_recipe(name),
                home=self.directory / name,
                options=options,
                ports=ports.get(name, {}),
                throw_away=self._throw_away,
                cancelled=self._cancelled,
            )
            for name, program in binaries.items()
        }

    @property
    def endpoints(self) -> dict[str, dict[str, str]]:
        """Of each server: `uri`; `url` and `data_dir` (Loki: `config_file`); S3's URL and keys."""
        return {name: server.endpoint for name, server in self._servers.items()}

    def __getitem__(self, name: str) -> Server:
        return self._servers[name]

    def wait(self) -> NoReturn:
        """Until a server ends by itself: raises PermanentError."""
        while True:
            for server in self._servers.values():
                server.check_running()
            time.sleep(_LOOK_S)

    def start(self, progress: Progress = silent) -> None:
        """Starts all of them, returns when all are ready. If one fails, none is left running."""
        try:
            with ThreadPoolExecutor(max_workers=len(self._servers) or 1) as pool:
                futures: dict[str, Future[None]] = {}
                try:
                    # Inside: an interrupt may come as soon as the first one starts.
                    for name, server in self._servers.items():
                        futures[name] = pool.submit(server.start)
                    for name, future in futures.items():
                        progress(name, "starting")
                        future.result()
                except BaseException:
                    self._cancelled.set()  # the others stop waiting to become ready
                    raise
        except BaseException:
            self.stop()
            raise
        if not self._throw_away:
            self._remember_ports()

    def stop(self) -> None:
        """Stops all of them; throw-away data go with them."""
        end: Callable[[Server], None] = Server.kill if self._throw_away else Server.stop
        with ThreadPoolExecutor(max_workers=len(self._servers) or 1) as pool:
            list(pool.map(end, self._servers.values()))
        if self._throw_away:
            shutil.rmtree(self.directory, ignore_errors=True)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.stop()

    def _remembered_ports(self) -> dict[str, dict[str, int]]:
        file = self.directory / _PORTS_FILE
        ports: dict[str, Any] = json.loads(file.read_text("utf-8")) if file.exists() else {}
        return ports

    def _remember_ports(self) -> None:
        """So that the addresses stay what they are when the directory is used again."""
        ports = self._remembered_ports()
        ports |= {name: server.ports for name, server in self._servers.items()}
        file = self.directory / _PORTS_FILE
        half = file.with_suffix(".tmp")
        half.write_text(json.dumps(ports, indent=2) + "\n", encoding="utf-8")
        half.replace(file)


def _make(directory: Path) -> None:
    try:
        directory.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise UsageError(
            "the servers' directory can't be used",
            where=directory,
            expected="a directory that can be made or written to",
            found=cause(error),
            remedy="name another directory",
        ) from error


def _recipe(name: str) -> Recipe:
    """That of the module of this name; their clients are imported for servers that are used."""
    module = {"prometheus3": "prometheus", "loki2": "loki"}.get(name, name)
    recipe: Recipe = importlib.import_module(f"lake.servers.{module}").RECIPE
    return recipe


def _programs(
    names: Sequence[str], given: Mapping[str, Binary | Path], progress: Progress
) -> dict[str, Binary]:
    """Those that the caller chose, and of the others the preferred ones."""
    chosen = {
        name: program if isinstance(program, Binary) else identify(name, program)
        for name, program in given.items()
        if name in names
    }
    others = install_all([name for name in names if name not in chosen], progress)
    return {name: (chosen | others)[name] for name in names}


def start(
    names: Iterable[str],
    directory: Path | None = None,
    progress: Progress | None = None,
    programs: Mapping[str, Binary | Path] | None = None,
    **options: Any,
) -> Stack:
    """Starts the servers, installing what is missing, and returns when all are ready.

    Without `directory` their data are removed when they stop. With it data, ports
    and S3 keys are kept for the next start. `programs` chooses a server's program, such
    as one of `find_all("loki")` or `find("prometheus", "3")`; the others are those that
    `find` prefers. `options` are the fields of `Options`.
    Raises UsageError for an unknown name; PermanentError or TransientError where a
    server can't be installed or started.
    """
    report = progress or silent
    stack = Stack(names, directory, report, programs or {}, Options(**options))
    stack.start(report)
    return stack
