"""Commands that are printed for people to type: they have to work where they are printed."""

from __future__ import annotations

import os
import shlex
import subprocess
import sys
from pathlib import Path

import pytest
import requests

from lake.base.day import Day
from lake.cli.hints import lake_command
from lake.servers import Binary, start
from lake.systems.loki.restored import next_steps

PROGRAMS = Path(sys.executable).parent


def other_paths() -> str:
    """PATH without this environment's programs."""
    kept = [
        folder for folder in os.environ["PATH"].split(":") if not (Path(folder) / "lake").exists()
    ]
    return ":".join(kept)


@pytest.mark.parametrize("on_path", [True, False])
@pytest.mark.parametrize("folder", [PROGRAMS.parent.parent, Path("/")])
def test_the_printed_command_runs_where_it_is_printed(monkeypatch, on_path: bool, folder: Path):
    path = f"{PROGRAMS}:{other_paths()}" if on_path else other_paths()
    monkeypatch.setenv("PATH", path)
    monkeypatch.chdir(folder)
    command = lake_command()
    assert (command == "lake") is on_path
    ran = subprocess.run(
        ["sh", "-c", f"{command} --help"], capture_output=True, text=True, check=False
    )
    assert ran.returncode == 0, ran.stderr
    assert "Usage: lake" in ran.stdout


def test_another_lake_on_path_is_not_ours(monkeypatch, tmp_path: Path):
    other = tmp_path / "lake"
    other.write_text("#!/bin/sh\nexit 3\n")
    other.chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}:{other_paths()}")
    assert lake_command() != "lake"


def test_without_a_program_the_module_is_run(monkeypatch, tmp_path: Path):
    python = tmp_path / "my python"
    python.symlink_to(sys.executable)
    monkeypatch.setattr(sys, "executable", str(python))
    assert lake_command() == f"'{python}' -m lake"


def test_the_logcli_query_covers_the_whole_day(loki_program: Binary):
    """A line in the last microsecond of the day, in a stream without any well-known label."""
    day = Day.today().plus(-1)
    at = [day.start_ns, day.end_ns - 1000, day.end_ns]
    with start(["loki"], programs={"loki": loki_program}) as stack:
        url = stack.endpoints["loki"]["url"]
        values = [[str(ns), f"line {number}"] for number, ns in enumerate(at)]
        body = {"streams": [{"stream": {"pod": "a"}, "values": values}]}
        requests.post(f"{url}/loki/api/v1/push", json=body, timeout=30).raise_for_status()
        step = next_steps(url, day)[0].removeprefix("query it: ")
        program, *options, selector = shlex.split(step)
        given = dict(option.lstrip("-").split("=", 1) for option in options if "=" in option)
        params = {"query": selector, "start": given["from"], "end": given["to"]}
        answer = requests.get(f"{given['addr']}/loki/api/v1/query_range", params, timeout=30).json()
    assert program == "logcli"
    lines = [line for stream in answer["data"]["result"] for _, line in stream["values"]]
    assert sorted(lines) == ["line 0", "line 1"]
