"""Processes that tests kill, forked from a server that has loaded what they need.

Belongs here: the server, and that it has loaded everything. Does not: what the processes do.
"""

from __future__ import annotations

import multiprocessing
import os
import sys
from collections.abc import Callable, Mapping
from multiprocessing import forkserver
from pathlib import Path

_LOADED = "support.forked_modules"
_FORKED = multiprocessing.get_context("forkserver")
_FORKED.set_forkserver_preload([_LOADED])


def started(
    target: Callable[..., None], *arguments: object, environment: Mapping[str, str] | None = None
) -> multiprocessing.Process:
    """A process that calls the target, with more variables in its environment."""
    _serve()
    process = _FORKED.Process(target=_run, args=(environment or {}, target, arguments))
    process.start()
    return process


def _serve() -> None:
    """The server looks for modules where PYTHONPATH says, and passes over those not found."""
    before = os.environ.get("PYTHONPATH")
    os.environ["PYTHONPATH"] = str(Path(__file__).parents[1])
    try:
        forkserver.ensure_running()
    finally:
        if before is None:
            del os.environ["PYTHONPATH"]
        else:
            os.environ["PYTHONPATH"] = before


def _run(environment: Mapping[str, str], target: Callable[..., None], arguments: tuple) -> None:
    if _LOADED not in sys.modules:
        raise ImportError(f"the server that forks processes could not load {_LOADED}")
    os.environ.update(environment)
    target(*arguments)
