"""`lake services`, as a shell sees it."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest
import requests
from support.looking import listener, ports_listened_on, within

from lake.servers import EXTRA_PROGRAMS, PROGRAM_NAMES

LAKE = [sys.executable, "-c", "from lake.cli import main; main()", "services"]


def lake(*arguments: str) -> subprocess.CompletedProcess[str]:
    command = [*LAKE, *arguments]
    return subprocess.run(command, capture_output=True, text=True, timeout=120, check=False)


def test_list_names_each_program(stack: object) -> None:
    done = lake("list", "--json")
    assert done.returncode == 0
    rows = json.loads(done.stdout)
    assert list(rows)[: len(PROGRAM_NAMES)] == list(PROGRAM_NAMES)
    assert set(rows) <= {*PROGRAM_NAMES, *EXTRA_PROGRAMS}
    for row in rows.values():
        assert Path(row["binary"]).is_file()
        assert row["version"]
        assert row["origin"] in ("PATH", "environment", "cache")
    for_people = lake("list").stdout
    assert all(row["binary"] in for_people for row in rows.values())


def test_list_says_how_the_missing_would_be_installed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("LAKE_CACHE_DIR", str(tmp_path))
    monkeypatch.setenv("PATH", "/bin")
    row = json.loads(lake("list", "--json").stdout)["loki"]
    assert row["binary"] is None
    assert "Go" in row["install"]
    assert "lake services install loki" in lake("list").stdout


def test_install_of_what_is_there_does_nothing(stack: object) -> None:
    done = lake("install", "--json")
    assert done.returncode == 0, done.stderr
    assert set(json.loads(done.stdout)) == set(PROGRAM_NAMES)


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_up_prints_one_json_object_and_stops_on_a_signal(tmp_path: Path, number: int) -> None:
    command = [*LAKE, "up", "prometheus", "loki", "--dir", str(tmp_path), "--json"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as up:
        assert up.stdout is not None
        endpoints = json.loads(up.stdout.readline())
        assert list(endpoints) == ["prometheus", "loki"]
        urls = [endpoint["url"] for endpoint in endpoints.values()]
        assert requests.get(f"{urls[0]}/-/ready", timeout=5).ok
        assert requests.get(f"{urls[1]}/ready", timeout=5).ok
        up.send_signal(number)
        rest, errors = up.communicate(timeout=60)
    assert up.returncode == 0, errors
    assert rest == ""
    ports = {int(address.rpartition(":")[2]) for address in urls}
    assert not ports_listened_on() & ports
    assert (tmp_path / "prometheus/data").is_dir()


def test_up_ends_when_a_server_does(tmp_path: Path) -> None:
    command = [*LAKE, "up", "loki", "--dir", str(tmp_path)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as up:
        assert up.stdout is not None
        port = int(json.loads(up.stdout.readline())["loki"]["url"].rpartition(":")[2])
        os.kill(listener(port), signal.SIGTERM)
        _, errors = up.communicate(timeout=60)
    assert up.returncode == 1
    assert "loki is not running" in errors
    assert str(tmp_path / "loki/server.log") in errors
    assert within(60, lambda: port not in ports_listened_on())


@pytest.mark.parametrize("command", ["up", "install"])
def test_an_unknown_name_is_wrong_usage(command: str) -> None:
    done = lake(command, "mongo", "grafana")
    assert done.returncode == 2
    assert "mongo, prometheus, loki, s3" in done.stderr
    assert "grafana" in done.stderr
    assert done.stdout == ""
