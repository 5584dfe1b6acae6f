"""However the one who started servers ends, they end too, and so do their throw-away data."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from support.looking import exists, ports_listened_on, within

START = """
import json, os, signal, sys, threading, time
from lake.servers import start

# Whoever runs the tests may have signals ignored (nohup, a shell's background job).
signal.signal(signal.SIGINT, signal.default_int_handler)
for number in (signal.SIGTERM, signal.SIGHUP):
    signal.signal(number, signal.SIG_DFL)

def main():
    stack = start(["prometheus", "loki"])
    servers = [stack["prometheus"], stack["loki"]]
    print(json.dumps({
        "pids": [server.pid for server in servers],
        "ports": [port for server in servers for port in server.ports.values()],
        "directory": str(stack.directory),
    }), flush=True)
    return stack
"""
IN_WITH = "with main():\n    time.sleep(600)"
ENDINGS = {
    "end of the program": "with main():\n    pass",
    "end without stopping": "kept = main()",
    "an exception": "with main():\n    raise RuntimeError",
    "an exception without stopping": "kept = main()\nraise RuntimeError",
    "sys.exit": "with main():\n    sys.exit(3)",
    "os._exit": "kept = main()\nos._exit(3)",
    "started in a thread that has ended": (
        "thread = threading.Thread(target=main)\nthread.start()\nthread.join()"
    ),
}


@pytest.fixture
def parent() -> Iterator[list[subprocess.Popen[str]]]:
    """Whatever a test puts in here is ended."""
    processes: list[subprocess.Popen[str]] = []
    yield processes
    for process in processes:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        process.wait()


def run(program: str, parents: list[subprocess.Popen[str]]) -> dict[str, object]:
    """Starts the program; what it says of its servers."""
    process = subprocess.Popen(
        [sys.executable, "-c", f"{START}\n{program}\n"],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )
    parents.append(process)
    assert process.stdout is not None
    line = process.stdout.readline()
    assert line, process.stderr and process.stderr.read()
    return json.loads(line)


def assert_gone(servers: dict[str, object]) -> None:
    pids, ports, directory = servers["pids"], servers["ports"], Path(str(servers["directory"]))
    assert within(60, lambda: not any(exists(pid) for pid in pids))
    assert within(60, lambda: not ports_listened_on() & set(ports))
    assert within(60, lambda: not directory.exists())


@pytest.mark.parametrize("ending", ENDINGS)
def test_an_end_of_its_own(parent: list[subprocess.Popen[str]], ending: str) -> None:
    servers = run(ENDINGS[ending], parent)
    parent[0].wait(60)
    assert_gone(servers)


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGKILL, signal.SIGHUP])
def test_a_signal_to_the_parent(parent: list[subprocess.Popen[str]], number: int) -> None:
    servers = run(IN_WITH, parent)
    assert all(exists(pid) for pid in servers["pids"])
    parent[0].send_signal(number)
    parent[0].wait(60)
    assert_gone(servers)


def test_a_signal_to_the_whole_process_group(parent: list[subprocess.Popen[str]]) -> None:
    """What Ctrl-C in a terminal does."""
    servers = run(IN_WITH, parent)
    os.killpg(parent[0].pid, signal.SIGINT)
    parent[0].wait(60)
    assert_gone(servers)


def test_a_fork_of_the_parent_does_not_keep_the_servers(
    parent: list[subprocess.Popen[str]],
) -> None:
    servers = run("kept = main()\nos.fork()\ntime.sleep(600)", parent)
    parent[0].kill()
    parent[0].wait()
    assert_gone(servers)
