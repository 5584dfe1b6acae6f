"""One server of a stack: started, stopped, killed, started again on the same ports.

Belongs here: its ports, its readiness, its log. Does not: the other servers.
"""

from __future__ import annotations

import os
import shutil
import threading
import time
from dataclasses import dataclass, field
from pathlib import Path

from lake.base.errors import PermanentError, TransientError
from lake.servers.binaries import Binary
from lake.servers.ports import LOOPBACK, free_ports, is_free
from lake.servers.process import Process, log_tail
from lake.servers.recipe import Launch, Options, Recipe, ServerSite

_READY_WITHIN_S = 90.0
_LOOK_S = 0.03
_TRIES = 4
_PORT_RELEASED_WITHIN_S = 2.0
_NOT_FOR_SERVERS = ("LAKE_", "AWS_")  # passwords of the sources, the key of hashes, the bucket's


@dataclass
class Server:
    """A server in its own directory `home`; `throw_away`: its data need not survive us.

    `start` after `stop` or `kill` finds the same data under the same address.
    """

    name: str
    program: Binary
    recipe: Recipe
    home: Path
    options: Options
    ports: dict[str, int]
    throw_away: bool
    cancelled: threading.Event
    _process: Process | None = field(default=None, init=False)
    _launch: Launch | None = field(default=None, init=False)
    _settled: bool = field(default=False, init=False)

    @property
    def log_path(self) -> Path:
        """What the server writes to its standard output and error."""
        return self.home / "server.log"

    @property
    def running(self) -> bool:
        """Whether its process is there."""
        return self._process is not None and self._process.alive

    @property
    def pid(self) -> int:
        """The server's process id. Raises PermanentError when it does not run."""
        self.check_running()
        assert self._process is not None  # noqa: S101  for the type checker
        return self._process.pid

    @property
    def endpoint(self) -> dict[str, str]:
        """How to reach it. Raises PermanentError before the first start."""
        if self._launch is None:
            raise PermanentError(f"{self.name} was never started", remedy="start it first")
        return dict(self._launch.endpoint)

    def check_running(self) -> None:
        """Raises PermanentError, with the log's tail, when it does not run."""
        if not self.running:
            raise PermanentError(
                f"{self.name} is not running",
                where=self.log_path,
                expected="a server that runs until it is stopped",
                found=log_tail(self.log_path),
                remedy="see the log, then start it again",
            )

    def start(self) -> None:
        """Returns when the server answers; does nothing if it runs.

        The first start takes other ports if those that are meant for it are not
        free. Raises PermanentError (it ended; the log's tail is shown) or
        TransientError (it does not answer in time).
        """
        if self.running:
            return
        self.home.mkdir(parents=True, exist_ok=True)
        for tries_left in reversed(range(_TRIES)):
            self._choose_ports()
            self._run()
            if self._became_ready():
                self._settled = True
                if self._launch is not None and self._launch.provision():
                    self.restart()
                return
            another_try = tries_left and not self._settled and self._taken()
            if not another_try:
                raise self._ended()

    def stop(self) -> None:
        """Stops it and returns when it has ended; its data are kept."""
        if self._process is not None:
            self._process.stop()

    def kill(self) -> None:
        """Ends it as a power cut would; its data are kept."""
        if self._process is not None:
            self._process.kill()

    def restart(self) -> None:
        """Stop, then start."""
        self.stop()
        self.start()

    def _choose_ports(self) -> None:
        deadline = time.monotonic() + _PORT_RELEASED_WITHIN_S
        while self._settled and self._taken() and time.monotonic() < deadline:
            time.sleep(_LOOK_S)
        taken = self._taken()
        if self._settled and taken:
            raise PermanentError(
                f"{self.name} can't start again: its port is taken",
                where=", ".join(f"{LOOPBACK}:{port}" for port in taken),
                expected="the port that it had",
                found="another program listens there",
                remedy="stop that program",
            )
        if taken or set(self.ports) != set(self.recipe.ports):
            self.ports = free_ports(self.recipe.ports)

    def _taken(self) -> list[int]:
        return [port for port in self.ports.values() if not is_free(port)]

    def _run(self) -> None:
        site = ServerSite(
            self.program.path, self.program.version, self.home, self.ports, self.options
        )
        self._launch = self.recipe.launch(site)
        scratch = self.home / "tmp"
        shutil.rmtree(scratch, ignore_errors=True)
        scratch.mkdir()
        self._process = Process(
            self._launch.command,
            home=self.home,
            log=self.log_path,
            environment=self._environment(),
            grace_s=self.recipe.grace_s,
            throw_away=self.throw_away,
            remedy="stop the other program that uses the directory, or install the server again",
            litter=self._launch.litter,
        )

    def _environment(self) -> dict[str, str]:
        hidden = (*_NOT_FOR_SERVERS, *self.recipe.unset)
        kept = {name: value for name, value in os.environ.items() if not name.startswith(hidden)}
        # Relative to the home: the path of a socket in it may have 107 bytes only.
        return kept | {"TMPDIR": "tmp"}

    def _became_ready(self) -> bool:
        """False when it ended before it was ready."""
        assert self._launch is not None  # noqa: S101  for the type checker
        deadline = time.monotonic() + _READY_WITHIN_S
        while self.running and not self.cancelled.is_set():
            if self._launch.ready():
                return True
            if time.monotonic() > deadline:
                self.kill()
                raise TransientError(
                    f"{self.name} does not answer",
                    where=self.log_path,
                    expected=f"an answer within {_READY_WITHIN_S:.0f} s",
                    found=log_tail(self.log_path),
                    remedy="see the log; on a busy machine try again",
                )
            time.sleep(_LOOK_S)
        return False

    def _ended(self) -> PermanentError:
        return PermanentError(
            f"{self.name} ended while it was starting",
            where=self.log_path,
            expected="a server that keeps running",
            found=log_tail(self.log_path),
            remedy=f"see the log; was {self.home} written by another version or another server?",
        )
