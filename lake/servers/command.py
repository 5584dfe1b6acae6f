"""Runs an installer's command and reports its progress.

Belongs here: running, showing progress, the error when it fails.
Does not: which commands install what.
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

from lake.base.errors import PermanentError
from lake.process.scratch import scratch_directory
from lake.servers.process import Process

_LOOK_S = 0.3
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
    started = time.monotonic()
    with scratch_directory() as scratch:
        output = scratch / "output"
        process = Process(
            list(command),
            home=directory or scratch,
            log=output,
            environment={**os.environ, **(environment or {})},
            grace_s=0,
            throw_away=False,
            remedy=remedy,
        )
        try:
            while (status := process.wait(_LOOK_S)) is None:
                tick(time.monotonic() - started, _read(output))
        finally:
            process.kill()
        printed = _read(output)
    if status:
        raise PermanentError(
            "an installation step failed",
            where=" ".join(command),
            found="\n".join([*printed.splitlines()[-_KEPT_LINES:], f"exit status {status}"]),
            remedy=remedy,
        )
    return printed


def _read(output: Path) -> str:
    return output.read_text(encoding="utf-8", errors="replace")
