"""Runs one server as its child and ends it when the process that asked for it is gone.

Run as a program by lake.servers.process, with the standard library alone and
without site-packages, so that it starts in no time:

    supervisor.py PARENT_PID GRACE_S LOG REMOVE COMMAND…

Standard output: the server's process id, one line. Standard input: a pipe from
the parent. A `t` means "stop the server, with GRACE_S seconds to do so", a `k`
"kill it". The pipe's end, which a killed parent leaves too, means the first, or
the second if the data are thrown away. REMOVE is the throw-away directory (or
empty): where the parent has died, its removal is on us. Standard error: the log.

Belongs here: the life of one process. Does not: which server, ports, readiness.
"""

from __future__ import annotations

import ctypes
import os
import select
import shutil
import signal
import subprocess
import sys
from pathlib import Path
from types import FrameType

_LOOK_S = 0.5
_PR_SET_PDEATHSIG = 1
_terminated = False


def _on_terminate(_number: int, _frame: FrameType | None) -> None:
    global _terminated  # noqa: PLW0603  a signal handler has no other way to say it
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


def _spawn(log: Path, command: list[str]) -> subprocess.Popen[bytes]:
    with log.open("ab") as output:
        return subprocess.Popen(
            command,
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
            start_new_session=True,
            preexec_fn=_die_with_supervisor,  # noqa: PLW1509  one thread: nothing can deadlock
        )


def _wait(
    server: subprocess.Popen[bytes], parent: int, wake_up: int, grace_s: float, *, throw_away: bool
) -> float:
    """Until the server has ended or has to: the seconds that it may take to stop."""
    orphan_grace_s = 0 if throw_away else grace_s
    while server.poll() is None:
        readable, _, _ = select.select([0, wake_up], [], [], _LOOK_S)
        if wake_up in readable:
            os.read(wake_up, 1024)
        if 0 in readable:
            return {b"t": grace_s, b"k": 0}.get(os.read(0, 1), orphan_grace_s)
        # A process forked from the parent may hold the pipe open after the parent's death.
        if _terminated or os.getppid() != parent:
            return orphan_grace_s
    return 0


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


def _remove(directory: Path) -> None:
    shutil.rmtree(directory, ignore_errors=True)
    try:
        directory.parent.rmdir()
    except OSError:
        return  # other servers' supervisors still have to remove their parts


def main(arguments: list[str]) -> int:
    """See the module's docstring."""
    parent, grace_s = int(arguments[0]), float(arguments[1])
    log, remove = Path(arguments[2]), arguments[3]
    wake_up = _wake_up_pipe()
    server = _spawn(log, arguments[4:])
    os.write(1, f"{server.pid}\n".encode())
    _end(server, _wait(server, parent, wake_up, grace_s, throw_away=bool(remove)))
    if remove and os.getppid() != parent:
        _remove(Path(remove))
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
