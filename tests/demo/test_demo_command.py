"""`lake demo` as a newcomer types it, with few days."""

from __future__ import annotations

import json
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


@pytest.mark.slow
@pytest.mark.timeout(_TIMEOUT_S * 2)
def test_serves_until_interrupted_and_leaves_a_lake_that_answers(tmp_path):
    place = tmp_path / "demo"
    command = [sys.executable, "-m", "lake", "demo", "--dir", str(place)]
    demo = subprocess.Popen(
        [*command, "--days", str(DAYS), "--serve", "--json"],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    try:
        line = demo.stdout.readline()
        assert line, demo.communicate()[1]
        served = json.loads(line)
        with pymongo.MongoClient(served["mongo"]["uri"]) as client:
            documents = client["miyou"]["usage_analytics"].count_documents({})
        page = requests.get(served["dagster"]["url"], timeout=30)
        while_served = tomllib.loads(Path(served["config"]).read_text())
    finally:
        demo.send_signal(signal.SIGINT)
        rest, told = demo.communicate(timeout=_TIMEOUT_S)
    assert (demo.returncode, rest) == (0, ""), told
    assert page.status_code == 200
    assert while_served["lake"]["root"].startswith("s3://")
    assert stat.S_IMODE((place / "env.sh").stat().st_mode) == 0o600
    assert_answers_without_servers(place, documents)


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
    query = "SELECT count(*) AS n FROM usage_analytics"
    asked = lake("query", query, "--json", "--config", config)
    assert json.loads(asked.stdout) == [{"n": documents}]
    assert len(list((place / "trends").glob("*.png"))) == 5
