"""Runs one server as its child and ends it when the process that started it is gone.

Run as a program by lake.servers.process, with the standard library alone and
without site-packages, so that it starts in no time:

    supervisor.py ORDER

ORDER is JSON, the fields of `Order`. Standard output: the server's process id, one
line. Standard error: the log. Standard input: a pipe from the parent. A `t` means
"stop the server", a `k` "kill it". The pipe's end without a word, which a killed
parent leaves too, means that this process has to stop it and remove what is thrown away.

Belongs here: the life of one process. Does not: which server, ports, readiness.
"""

from __future__ import annotations

import ctypes
import fcntl
import json
import os
import select
import shutil
import signal
import subprocess
import sys
import time
from dataclasses import dataclass
from pathlib import Path
from types import FrameType
from typing import IO

_LOOK_S = 0.5
_LOCKED_WITHIN_S = 10.0
_PR_SET_PDEATHSIG = 1
_terminated = False


@dataclass(frozen=True)
class Order:
    """What is to be run. `home` is the server's directory, `litter` what it leaves elsewhere."""

    parent: int
    command: list[str]
    home: str
    log: str
    grace_s: float
    throw_away: bool
    litter: list[str]


def _on_terminate(_number: int, _frame: FrameType | None) -> None:
    global _terminated  # noqa: PLW0603  a signal handler has no other way to report it
    _terminated = True


def _on_child(_number: int, _frame: FrameType | None) -> None:
    """Only there so that the wake-up pipe is written to."""


def _die_with_supervisor() -> None:
    """In the server, before exec: the kernel ends it should the supervisor be killed."""
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0)


def _wake_up_pipe() -> int:
    """A descriptor that becomes readable with every signal."""
    reader, writer = os.pipe()
    os.set_blocking(writer, False)
    signal.set_wakeup_fd(writer, warn_on_full_buffer=False)
    signal.signal(signal.SIGCHLD, _on_child)
    signal.signal(signal.SIGTERM, _on_terminate)
    return reader


def _own(log: Path) -> IO[bytes]:
    """The log, locked until we end. The one that ran here before may still be stopping."""
    file = log.open("ab")
    deadline = time.monotonic() + _LOCKED_WITHIN_S
    while True:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            if time.monotonic() > deadline:
                sys.exit(f"{log.parent} is in use: a server of another process runs there")
            time.sleep(0.05)
        else:
            return file


def _spawn(command: list[str], log: IO[bytes]) -> subprocess.Popen[bytes]:
    try:
        return subprocess.Popen(
            command,
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=subprocess.STDOUT,
            start_new_session=True,
            preexec_fn=_die_with_supervisor,  # noqa: PLW1509  one thread: nothing can deadlock
        )
    except OSError as error:
        sys.exit(f"{command[0]}: {error.strerror}")


def _wait(server: subprocess.Popen[bytes], parent: int, wake_up: int) -> bytes:
    """Until the server has ended or has to. The parent's word; b"" if it has gone without."""
    while server.poll() is None:
        readable, _, _ = select.select([0, wake_up], [], [], _LOOK_S)
        if wake_up in readable:
            os.read(wake_up, 1024)
        if 0 in readable:
            return os.read(0, 1)
        # A process forked from the parent may hold the pipe open after the parent's death.
        if _terminated or os.getppid() != parent:
            return b""
    return b"k"


def _signal_group(server: subprocess.Popen[bytes], number: int) -> None:
    try:
        os.killpg(server.pid, number)
    except ProcessLookupError:
        return  # the whole group is gone, which is what was wanted


def _end(server: subprocess.Popen[bytes], grace_s: float) -> None:
    if grace_s > 0 and server.poll() is None:
        _signal_group(server, signal.SIGTERM)
        try:
            server.wait(grace_s)
        except subprocess.TimeoutExpired:
            sys.stderr.write(f"a server did not stop within {grace_s:g} s and was killed\n")
    _signal_group(server, signal.SIGKILL)  # whatever the server itself started, too
    server.wait()


def _remove(home: Path) -> None:
    shutil.rmtree(home, ignore_errors=True)
    try:
        home.parent.rmdir()
    except OSError:
        return  # other servers' supervisors still have to remove their parts


def main(text: str) -> int:
    """See the module's docstring. Returns the server's exit status."""
    order = Order(**json.loads(text))
    wake_up = _wake_up_pipe()
    with _own(Path(order.log)) as log:
        server = _spawn(order.command, log)
        os.write(1, f"{server.pid}\n".encode())
        word = _wait(server, order.parent, wake_up)
        kill = word == b"k" or (word == b"" and order.throw_away)
        _end(server, 0 if kill else order.grace_s)
        for path in order.litter:
            Path(path).unlink(missing_ok=True)
        if word == b"" and order.throw_away:
            _remove(Path(order.home))
        return server.returncode & 0xFF


if __name__ == "__main__":
    sys.exit(main(sys.argv[1]))
