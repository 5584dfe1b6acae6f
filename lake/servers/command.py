"""Runs an installer's command and tells how it goes.

Belongs here: running, showing progress, the error when it fails.
Does not: which commands install what.
"""

from __future__ import annotations

import os
import signal
import subprocess
import tempfile
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import IO

from lake.base.errors import PermanentError

_LOOK_S = 0.5
_KEPT_LINES = 20

Tick = Callable[[float, str], None]
"""Called often, with the elapsed seconds and what the command has printed so far."""


def run(
    command: Sequence[str],
    *,
    directory: Path | None = None,
    environment: Mapping[str, str] | None = None,
    tick: Tick = lambda _seconds, _output: None,
    remedy: str,
) -> str:
    """Runs it and returns what it printed.

    However this ends, the command does not go on. Raises PermanentError, with the
    last lines that it printed.
    """
    with tempfile.TemporaryFile() as output:
        try:
            process = subprocess.Popen(
                list(command),
                cwd=directory,
                env={**os.environ, **(environment or {})},
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
                start_new_session=True,  # what it starts itself can be ended with it
            )
        except OSError as error:
            raise PermanentError(
                "a program can't be run", where=command[0], found=error.strerror, remedy=remedy
            ) from error
        try:
            status = _wait(process, output, tick)
        except BaseException:
            os.killpg(process.pid, signal.SIGKILL)
            process.wait()
            raise
        printed = _printed(output)
    if status:
        raise PermanentError(
            "an installation step failed",
            where=" ".join(command),
            found="\n".join([f"exit status {status}", *printed.splitlines()[-_KEPT_LINES:]]),
            remedy=remedy,
        )
    return printed


def _wait(process: subprocess.Popen[bytes], output: IO[bytes], tick: Tick) -> int:
    started = time.monotonic()
    while True:
        try:
            return process.wait(_LOOK_S)
        except subprocess.TimeoutExpired:
            tick(time.monotonic() - started, _printed(output))


def _printed(output: IO[bytes]) -> str:
    size = os.fstat(output.fileno()).st_size
    return os.pread(output.fileno(), size, 0).decode("utf-8", errors="replace")
