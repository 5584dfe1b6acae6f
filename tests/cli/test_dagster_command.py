"""`lake dagster`: a home from which Dagster starts, whatever the working directory is."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

TOML = """
[lake]
root = "data"
[sources.mongo]
uri = "mongodb://127.0.0.1:1"
database = "d"
[[dataset]]
name = "events"
source = "mongo"
collection = "events"
"""


@pytest.fixture
def config(tmp_path: Path) -> Path:
    file = tmp_path / "lake.toml"
    file.write_text(TOML)
    return file


def run(*arguments: object, cwd: Path) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "lake", "dagster", *map(str, arguments)]
    return subprocess.run(command, cwd=cwd, capture_output=True, text=True, check=False)


@pytest.mark.slow
def test_dagster_loads_the_definitions_from_any_directory(config: Path, tmp_path: Path) -> None:
    done = run(tmp_path / "home", "--json", "--config", config, cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    printed = json.loads(done.stdout)
    assert printed["written"]
    assert printed["environment"] == {
        "LAKE_CONFIG": str(config),
        "DAGSTER_HOME": str(tmp_path / "home"),
    }
    program, _, *module = printed["command"]  # "dev" would run for ever; this loads the same
    loaded = subprocess.run(
        [program, "definitions", "validate", *module],
        cwd="/",
        env={**os.environ, **printed["environment"]},
        capture_output=True,
        text=True,
        check=False,
        timeout=120,
    )
    assert loaded.returncode == 0, loaded.stderr
    assert "telemetry" in (tmp_path / "home/dagster.yaml").read_text()


def test_what_is_there_is_kept_and_the_commands_are_printed(config: Path, tmp_path: Path) -> None:
    home = tmp_path / "my home"
    home.mkdir()
    (home / "dagster.yaml").write_text("telemetry: {enabled: true}\n")
    done = run("my home", cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    assert (home / "dagster.yaml").read_text() == "telemetry: {enabled: true}\n"
    assert "exists and is left as it is" in done.stdout
    assert f"  export DAGSTER_HOME='{home}'\n" in done.stdout
    assert f"  export LAKE_CONFIG={config}\n" in done.stdout
    assert "dagster dev --module-name assets.definitions" in done.stdout


def test_without_a_configuration_nothing_is_written(tmp_path: Path) -> None:
    done = run("home", cwd=tmp_path)
    assert (done.returncode, done.stdout) == (2, "")
    assert not (tmp_path / "home").exists()


def test_a_home_that_cannot_be_made(config: Path, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    done = run("file/home", cwd=tmp_path)
    assert done.returncode == 1
    assert "Dagster's home can't be written" in done.stderr
