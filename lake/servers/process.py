"""One child process that never outlives this one: a server, or what installs one.

Belongs here: starting it under its supervisor, ending it, its log's last lines.
Does not: which server it is, its ports, when it is ready.
"""

from __future__ import annotations

import contextlib
import json
import os
import subprocess
import sys
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from pathlib import Path

from lake.base.errors import PermanentError
from lake.servers import supervisor
from lake.servers.supervisor import Order

_TAIL_LINES = 20


def log_tail(path: Path, lines: int = _TAIL_LINES) -> str:
    """The log's last lines, or a note that it is empty."""
    if not path.exists():
        return "(no log)"
    text = path.read_text(encoding="utf-8", errors="replace").rstrip()
    return "\n".join(text.splitlines()[-lines:]) or "(the log is empty)"


class Process:
    """A program under a supervisor of its own, which ends it when this process is gone.

    `home` is its working directory; with `throw_away` the supervisor removes it if this
    process dies. `litter` are files that it leaves behind elsewhere.
    Raises PermanentError where the program can't be run.
    """

    def __init__(
        self,
        command: list[str],
        *,
        home: Path,
        log: Path,
        environment: Mapping[str, str],
        grace_s: float,
        throw_away: bool,
        remedy: str | None = None,
        litter: Sequence[str] = (),
    ) -> None:
        self._grace_s = grace_s
        order = Order(
            parent=os.getpid(),
            command=command,
            home=str(home),
            log=str(log),
            grace_s=grace_s,
            throw_away=throw_away,
            litter=list(litter),
        )
        with log.open("ab") as errors:
            self._supervisor = subprocess.Popen(
                [sys.executable, "-I", "-S", supervisor.__file__, json.dumps(asdict(order))],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=errors,
                cwd=home,
                env=dict(environment),
                start_new_session=True,  # a Ctrl-C is for this process, which ends the servers
            )
        assert self._supervisor.stdout is not None  # noqa: S101  for the type checker
        answer = self._supervisor.stdout.readline()
        if not answer:
            self._release()
            raise PermanentError(
                "a program can't be run", where=command[0], found=log_tail(log, 3), remedy=remedy
            )
        self.pid = int(answer)

    @property
    def alive(self) -> bool:
        """Whether it runs."""
        return self._supervisor.poll() is None

    def wait(self, seconds: float) -> int | None:
        """Its exit status, None if it still runs after so long."""
        try:
            return self._supervisor.wait(seconds)
        except subprocess.TimeoutExpired:
            return None

    def stop(self) -> None:
        """Stops it, kills it if that takes too long, returns when it is gone."""
        self._send(b"t")

    def kill(self) -> None:
        """Ends it as a power cut would, returns when it is gone."""
        self._send(b"k")

    def _send(self, word: bytes) -> None:
        assert self._supervisor.stdin is not None  # noqa: S101  for the type checker
        if not self._supervisor.stdin.closed:
            with contextlib.suppress(BrokenPipeError):  # it has ended by itself
                self._supervisor.stdin.write(word)
                self._supervisor.stdin.flush()
        self._release()

    def _release(self) -> None:
        """Closes the pipes, which by itself ends the server, and waits."""
        for pipe in (self._supervisor.stdin, self._supervisor.stdout):
            assert pipe is not None  # noqa: S101  for the type checker
            with contextlib.suppress(BrokenPipeError):  # it has ended by itself
                pipe.close()
        self._supervisor.wait(self._grace_s + 10)
