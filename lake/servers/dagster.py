"""Dagster for one lake: its web server, its daemon and the server of the lake's definitions.

Belongs here: their directory, their processes, when they are ready.
Does not: Dagster's Python (no import of it here), requests to it (dagster_api).
"""

from __future__ import annotations

import json
import os
import shutil
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from types import TracebackType
from typing import Self

from lake.base.errors import Missing, PermanentError, TransientError
from lake.base.resources import resource_path
from lake.config.settings import load
from lake.servers.dagster_api import BackfillProgress, BackfillResult, DagsterApi
from lake.servers.ports import LOOPBACK, free_ports, is_free
from lake.servers.process import Process, log_tail

LOCATION = "monitoring-lake"
_READY_WITHIN_S = 120.0
_LOOK_S = 0.1
_GRACE_S = 10.0
_DEFINITIONS = ("--module-name", "assets.definitions", "--lazy-load-user-code")
_WORKSPACE_FLAG = ("--workspace", "workspace.yaml")
_WORKSPACE = """\
load_from:
  - grpc_server: {{host: {host}, port: {port}, location_name: {location}}}
"""
_STORAGE = """
storage:
  sqlite:
    base_dir: {}
"""


class Dagster:
    """A Dagster instance in `home`, stopped by `stop` or at the end of a `with` block.

    `api` sends requests to it; `url` is its user interface.
    """

    def __init__(
        self, home: Path, config: Path, env: Mapping[str, str], history: Path | None
    ) -> None:
        self.home = home.absolute()
        self._history = history
        own = {
            "DAGSTER_HOME": str(self.home),
            "LAKE_CONFIG": str(config.absolute()),
            # A server of definitions that a busy machine keeps from answering comes back: the
            # backfill waits for it instead of failing as if its assets were gone.
            "DAGSTER_BACKFILL_RETRY_DEFINITION_CHANGED_ERROR": "1",
        }
        self._environment = {**os.environ, **env, **own}
        self._ports = free_ports(("web", "code"))
        self._processes: dict[str, Process] = {}
        self.url = f"http://{LOOPBACK}:{self._ports['web']}"
        self.api = DagsterApi(self.url)

    @property
    def log_paths(self) -> dict[str, Path]:
        """What each process writes to its standard output and error."""
        return {name: self.home / f"{name}.log" for name in ("code", "web", "daemon")}

    def start(self) -> None:
        """Returns when the web server has loaded the definitions. The daemon is started apart."""
        self._configure()
        # One server of the definitions for all: loading them takes longer than all the rest.
        # The web server comes after it: where it finds none it waits half a minute.
        self._run("code", ["dagster", "api", "grpc", *_DEFINITIONS, *self._address("code")])
        self._wait("the definitions to be loaded", lambda: not is_free(self._ports["code"]))
        self._run("web", ["dagster-webserver", *_WORKSPACE_FLAG, *self._address("web")])
        self._wait("the web server to load the definitions", self.api.is_loaded)

    def _configure(self) -> None:
        self.home.mkdir(parents=True, exist_ok=True)
        instance = resource_path("deploy/dagster/dagster.yaml").read_text("utf-8")
        if self._history:
            instance += _STORAGE.format(json.dumps(str(self._history.absolute())))
        (self.home / "dagster.yaml").write_text(instance, "utf-8")
        (self.home / "workspace.yaml").write_text(
            _WORKSPACE.format(host=LOOPBACK, port=self._ports["code"], location=LOCATION), "utf-8"
        )

    def start_daemon(self) -> None:
        """Returns when the daemon's heart beats; does nothing if it runs."""
        daemon = self._processes.get("daemon")
        if daemon and daemon.alive:
            return
        before = self.api.heartbeats()
        self._run("daemon", ["dagster-daemon", "run", *_WORKSPACE_FLAG])
        self._wait("the daemon's heart to beat", lambda: self.api.daemon_is_healthy(before))

    def backfill(
        self,
        assets: Sequence[str],
        days: Sequence[str],
        on_progress: Callable[[BackfillProgress], None] = lambda _progress: None,
    ) -> BackfillResult:
        """Exports every day (YYYY-MM-DD) of every asset and returns when all have an end.

        Schedules rest from then on: at 00:30 UTC one would export the last of these days, too.
        `api.reset_schedules` lets them begin again.
        """
        self.api.stop_schedules()
        launched = self.api.launch_backfill(assets, days)
        # The daemon looks for backfills when it starts and then every 30 s, which is fixed:
        # where it has not been started yet, nothing is lost.
        self.start_daemon()
        partitions = [(asset, day) for asset in assets for day in days]
        return self.api.wait_backfill(launched, partitions, on_progress)

    def stop(self) -> None:
        """Stops the processes; runs in progress end with them."""
        with ThreadPoolExecutor(max_workers=len(self._processes) or 1) as pool:
            list(pool.map(Process.stop, self._processes.values()))

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.stop()

    def _address(self, name: str) -> list[str]:
        return ["--host", LOOPBACK, "--port", str(self._ports[name])]

    def _run(self, name: str, command: list[str]) -> None:
        self._processes[name] = Process(
            [_program(command[0]), *command[1:]],
            home=self.home,
            log=self.log_paths[name],
            environment=self._environment,
            grace_s=_GRACE_S,
            throw_away=False,
        )

    def _wait(self, what: str, ready: Callable[[], bool]) -> None:
        deadline = time.monotonic() + _READY_WITHIN_S
        while not ready():
            for name, process in self._processes.items():
                if not process.alive:
                    raise PermanentError(
                        f"a part of Dagster ended: {name}",
                        where=self.log_paths[name],
                        expected=what,
                        found=log_tail(self.log_paths[name]),
                        remedy="see the log",
                    )
            if time.monotonic() > deadline:
                raise TransientError(
                    "Dagster was not ready in time",
                    where=self.home,
                    expected=f"{what} within {_READY_WITHIN_S:.0f} s",
                    remedy="see the logs there; on a busy machine try again",
                )
            time.sleep(_LOOK_S)


def start_dagster(
    home: Path,
    config: Path,
    env: Mapping[str, str],
    *,
    daemon: bool = True,
    history: Path | None = None,
) -> Dagster:
    """Starts Dagster for the lake of `config` and returns when it is ready.

    `home` becomes DAGSTER_HOME. Runs and events are kept in it, or in `history`: the
    backfill of a quarter writes thousands of events, each with waits for the disk that a
    directory in memory lacks. `env` is laid over our own environment: credentials.
    Without `daemon` nothing runs before `start_daemon` or `backfill`, which is quicker where
    a backfill is all that is wanted.
    Raises ConfigError (lake.toml), Missing (Dagster is not installed), PermanentError (a
    process ended) or TransientError (not ready in time).
    """
    load(str(config), {**os.environ, **env})  # a better message than a traceback in a log
    dagster = Dagster(home, config, env, history)
    try:
        dagster.start()
        if daemon:
            dagster.start_daemon()
    except BaseException:
        dagster.stop()
        raise
    return dagster


def _program(name: str) -> str:
    beside = Path(sys.executable).with_name(name)
    program = str(beside) if beside.exists() else shutil.which(name)
    if program is None:
        raise Missing(
            "a program of Dagster is not there",
            where=beside,
            expected=name,
            remedy="install monitoring-lake with its dependencies",
        )
    return program
