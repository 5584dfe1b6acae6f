"""One command on a lake of many datasets, in a process that has loaded nothing else.

    .venv/bin/python bench/scaling_command.py COMMAND FOLDER [profile]

FOLDER/lake.toml is its configuration (scaling_datasets writes it). The last line of output is
JSON: processor time of the command, seconds, the process's largest memory, requests to S3 by their
names. With `profile`, standard error has where the time goes.
"""

from __future__ import annotations

import cProfile
import json
import os
import pstats
import re
import sys
import time
from collections import Counter
from collections.abc import Callable
from contextlib import redirect_stdout
from pathlib import Path
from typing import Any

from lake.base.day import Day
from lake.config.settings import load
from lake.store import open_store

_LAST = Day.today().plus(-1)
_QUESTION = f"SELECT count(*) FROM container_logs_0 WHERE day = DATE '{_LAST}'"
_COMMANDS = {
    "status": ("status", "--no-sources", "--json"),
    "can": ("can", "--json", _QUESTION),
    "query": ("query", "--json", _QUESTION),
    "report": ("report", "--html", "{folder}/page", "--days", "10"),
    "metrics": ("metrics",),
    "catalog": ("catalog", "{folder}/lake.duckdb"),
    "doctor": ("doctor", "--json"),
}


def main() -> None:
    """Runs it."""
    name, folder, *more = sys.argv[1:]
    requests = _counted_requests()
    run = _RUNS.get(name) or _command(name)
    profiler = cProfile.Profile()
    begun, wall = time.process_time(), time.monotonic()
    with Path(os.devnull).open("w") as nowhere, redirect_stdout(nowhere):
        status = profiler.runcall(run, folder) if more else run(folder)
    cpu, waited = time.process_time() - begun, time.monotonic() - wall
    if more:
        stats = pstats.Stats(profiler, stream=sys.stderr)
        stats.sort_stats("cumulative").print_stats(60)
        stats.sort_stats("tottime").print_stats(25)
    print(json.dumps({
        "cpu_s": cpu, "wall_s": waited, "peak": _peak(), "status": status, "requests": requests,
    }))  # fmt: skip


def _peak() -> int:
    """Bytes. getrusage has the parent's as well, as of the fork."""
    (line,) = re.findall(r"VmHWM:\s+(\d+) kB", Path("/proc/self/status").read_text("ascii"))
    return int(line) * 1024


def _counted_requests() -> Counter[str]:
    """Of boto3; DuckDB's own are not among them."""
    from botocore.endpoint import Endpoint  # noqa: PLC0415

    counted: Counter[str] = Counter()
    make_request = Endpoint.make_request

    def counting(self: Endpoint, operation: Any, request: Any) -> Any:
        counted[operation.name] += 1
        return make_request(self, operation, request)

    Endpoint.make_request = counting  # type: ignore[method-assign]
    return counted


def _command(name: str) -> Callable[[str], Any]:
    def run(folder: str) -> Any:
        from lake.cli.main import root  # noqa: PLC0415

        words = [word.format(folder=folder) for word in _COMMANDS[name]]
        return root.main([*words, "--config", f"{folder}/lake.toml"], standalone_mode=False)

    return run


def _list(folder: str) -> None:
    """Keys only, no content."""
    for _ in open_store(load(f"{folder}/lake.toml", {})).list("manifests/"):
        pass


def _dagster(folder: str) -> None:
    """What `dagster definitions validate` and each start of the code server do."""
    from assets.definitions import build  # noqa: PLC0415

    build(load(f"{folder}/lake.toml", {})).get_repository_def().get_all_jobs()


_RUNS: dict[str, Callable[[str], Any]] = {"list": _list, "dagster": _dagster}
STEPS = (*_COMMANDS, *_RUNS)


if __name__ == "__main__":
    main()
