"""`lake demo` as a newcomer types it, with few days."""

from __future__ import annotations

import json
import os
import signal
import stat
import subprocess
import sys
import tomllib
from pathlib import Path

import pymongo
import pytest
import requests

_TIMEOUT_S = 200
DAYS = 2


def lake(*arguments: str, timeout: float = _TIMEOUT_S) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "lake", *arguments]
    return subprocess.run(command, capture_output=True, text=True, timeout=timeout, check=False)


class Served:
    """A demo that serves; `served` is what it has printed."""

    def __init__(self, place: Path) -> None:
        command = [sys.executable, "-m", "lake", "demo", "--dir", str(place)]
        self.process = subprocess.Popen(
            [*command, "--days", str(DAYS), "--serve", "--json"],
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        line = self.process.stdout.readline()
        assert line, self.process.communicate()[1]
        self.served = json.loads(line)

    def end(self, number: int) -> tuple[int, str]:
        """Its exit status after the signal and what it wrote."""
        self.process.send_signal(number)
        out, err = self.process.communicate(timeout=_TIMEOUT_S)
        assert out == ""
        return self.process.returncode, err


def kill_server(place: Path, name: str) -> None:
    """As the system does when memory runs out."""
    home = str(place / "servers" / name)
    pids = [
        int(file.parent.name)
        for file in Path("/proc").glob("[0-9]*/cmdline")
        if home.encode() in read(file) and b"supervisor.py" not in read(file)
    ]
    assert len(pids) == 1
    os.kill(pids[0], signal.SIGKILL)


def read(file: Path) -> bytes:
    try:
        return file.read_bytes()
    except OSError:
        return b""  # the process has ended


@pytest.mark.slow
@pytest.mark.timeout(_TIMEOUT_S * 4)
def test_however_a_demo_ends_it_leaves_a_lake_that_answers(tmp_path):
    place = tmp_path / "demo"
    demo = Served(place)
    try:
        with pymongo.MongoClient(demo.served["mongo"]["uri"]) as client:
            documents = client["miyou"]["usage_analytics"].count_documents({})
        page = requests.get(demo.served["dagster"]["url"], timeout=30)
        while_served = tomllib.loads(Path(demo.served["config"]).read_text())
        mode = stat.S_IMODE((place / "env.sh").stat().st_mode)
    finally:
        status, printed = demo.end(signal.SIGINT)
    assert status == 0, printed
    assert page.status_code == 200
    assert while_served["lake"]["root"].startswith("s3://")
    assert mode == 0o600
    assert_answers_without_servers(place, documents)
    assert_requests_begin_to_fail(place, demo.served["outage"])

    demo = Served(place)  # the same data, its servers started again
    kill_server(place, "loki")
    _, printed = demo.process.communicate(timeout=_TIMEOUT_S)
    assert demo.process.returncode == 1
    assert "loki is not running" in printed
    assert not (place / "serving.toml").exists()
    assert_counts(place, documents)

    assert Served(place).end(signal.SIGKILL)[0] == -signal.SIGKILL
    assert_counts(place, documents)


def assert_answers_without_servers(place: Path, documents: int) -> None:
    config = str(place / "lake.toml")
    status = lake("status", "--no-sources", "--json", "--config", config)
    assert status.returncode == 0, status.stderr
    states = [
        day["state"]
        for dataset in json.loads(status.stdout)["datasets"]
        for day in dataset["days"].values()
    ]
    assert states == ["verified"] * 7 * DAYS
    assert lake("verify", "--config", config).returncode == 0
    assert_counts(place, documents)
    assert len(list((place / "plots").glob("*.png"))) == 9


def assert_requests_begin_to_fail(place: Path, outage: str) -> None:
    options = ("--at", outage, "--window", "20m", "--json")
    shown = lake("incident", *options, "--config", str(place / "lake.toml"))
    events = [e for e in json.loads(shown.stdout)["events"] if e["dataset"] == "usage_analytics"]
    failed = [event["at"] >= outage for event in events if "LLM_UNAVAILABLE" in event["text"]]
    assert failed
    assert all(failed)


def assert_counts(place: Path, documents: int) -> None:
    query = "SELECT count(*) AS n FROM usage_analytics"
    done = lake("query", query, "--json", "--config", str(place / "lake.toml"))
    assert json.loads(done.stdout) == [{"n": documents}]
