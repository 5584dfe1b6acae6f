"""The script for cron: what it calls, what it tells, how it ends."""

from __future__ import annotations

import fcntl
import os
import re
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path

import pytest
from support.loaded_site import SYSTEMS, Site
from support.serving import serving

from lake.base.day import Day
from lake.snapshots.manifest import snapshot_days

SCRIPT = Path(__file__).parents[2] / "scripts/aws/backup_monitoring_to_s3.sh"
LAKE = Path(sys.executable).with_name("lake")
YESTERDAY = Day.today().plus(-1)
STEPS = [
    f"export --day {YESTERDAY}",
    "recheck",
    *(f"snapshot {system}" for system in SYSTEMS),
    "snapshots verify --sample 5%",
]
# Notes what it was called with; fails, or waits, where the file beside it says so.
STAND_IN = """#!/bin/sh
here=$(dirname "$0")
[ "$1" = --version ] && { echo "a stand-in"; exit 0; }
echo "$*" >>"$here/calls"
[ "$*" = "$(cat "$here/waits" 2>/dev/null)" ] && { touch "$here/waiting"; exec sleep 600; }
[ "$*" = "$(cat "$here/fails" 2>/dev/null)" ] && { echo "it broke" >&2; exit 1; }
exit 0
"""


@pytest.fixture
def heartbeat() -> Iterator[tuple[str, list[str]]]:
    """A server's address, and the paths that it was asked for."""
    paths: list[str] = []

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            paths.append(self.path)
            self.send_response(200 if "refused" not in self.path else 410)
            self.end_headers()

        def log_message(self, *_: object) -> None:
            """Nothing."""

    server = HTTPServer(("127.0.0.1", 0), Handler)
    with serving(server):
        yield f"http://127.0.0.1:{server.server_port}", paths


@pytest.fixture
def config(tmp_path: Path) -> Path:
    file = tmp_path / "lake.toml"
    sections = [f"[sources.{system}]" for system in SYSTEMS]
    file.write_text("\n".join(["[lake]", *sections, ""]))
    return file


@pytest.fixture
def stand_in(tmp_path: Path) -> Path:
    program = tmp_path / "bin" / "lake"
    program.parent.mkdir()
    program.write_text(STAND_IN)
    program.chmod(0o700)
    return program


def environment(tmp_path: Path, **values: object) -> dict[str, str]:
    own = {"PATH": os.environ["PATH"], "HOME": str(tmp_path), "BACKUP_LOG": str(tmp_path / "log")}
    return own | {name: str(value) for name, value in values.items()}


def run(env: dict[str, str], *arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [SCRIPT, *arguments], env=env, capture_output=True, text=True, timeout=120, check=False
    )


def calls(program: Path) -> list[str]:
    file = program.with_name("calls")
    return file.read_text().splitlines() if file.exists() else []


def test_a_dry_run_tells_and_does_nothing(tmp_path, config, stand_in, heartbeat):
    url, paths = heartbeat
    done = run(
        environment(
            tmp_path, LAKE_CONFIG=config, BACKUP_LAKE=stand_in, BACKUP_HEARTBEAT_URL=f"{url}/token"
        ),
        "--dry-run",
    )
    assert done.returncode == 0
    *steps, last = done.stdout.splitlines()
    assert steps == [f"{stand_in} {step}" for step in STEPS]
    assert "token" not in last
    assert calls(stand_in) == paths == []
    assert not (tmp_path / "log").exists()


@pytest.mark.slow
def test_a_night_on_real_servers(site: Site, tmp_path, heartbeat):
    own = site.copy(tmp_path / "own")
    for file in (own.config.parent / "lake").rglob("manifests/raw_samples/*"):
        file.unlink()
    url, paths = heartbeat
    secrets = tmp_path / "env"
    secrets.write_text("LAKE_SOURCES__PROMETHEUS__PASSWORD=hush-hush-1\n")
    secrets.chmod(0o600)
    env = environment(
        tmp_path,
        LAKE_CONFIG=own.config,
        BACKUP_LAKE=LAKE,
        BACKUP_ENV_FILE=secrets,
        BACKUP_DAY=own.first,
        BACKUP_HEARTBEAT_URL=f"{url}/token-hush-2",
        LAKE_SOURCES__PROMETHEUS__USERNAME="backup",
    )
    done = run(env)
    log = (tmp_path / "log").read_text()
    assert done.returncode == 0, log
    assert done.stdout == done.stderr == ""  # cron sends no mail
    assert paths == ["/token-hush-2"]
    for system in SYSTEMS:
        assert snapshot_days(own.store, system) == [own.end]
    assert len(list((own.config.parent / "lake").rglob("manifests/raw_samples/*"))) == 2
    assert log.count(": status 0 after") == len(STEPS)
    assert "hush" not in log
    assert (tmp_path / "log").stat().st_mode & 0o077 == 0


def test_a_step_that_fails_stops_no_other_and_sends_no_heartbeat(
    tmp_path, config, stand_in, heartbeat
):
    url, paths = heartbeat
    stand_in.with_name("fails").write_text(STEPS[2])
    env = environment(tmp_path, LAKE_CONFIG=config, BACKUP_LAKE=stand_in, BACKUP_HEARTBEAT_URL=url)
    done = run(env)
    assert done.returncode == 1
    assert calls(stand_in) == STEPS
    assert paths == []
    assert f"1 of {len(STEPS)} steps failed" in done.stderr
    assert f"lake {STEPS[2]} (status 1)" in done.stderr
    assert "it broke" in done.stderr


def test_a_heartbeat_that_is_not_taken_has_a_status_of_its_own(
    tmp_path, config, stand_in, heartbeat
):
    url, _ = heartbeat
    env = environment(
        tmp_path, LAKE_CONFIG=config, BACKUP_LAKE=stand_in, BACKUP_HEARTBEAT_URL=f"{url}/refused"
    )
    done = run(env)
    assert done.returncode == 3
    assert "refused" not in (tmp_path / "log").read_text() + done.stderr


def test_a_second_run_does_nothing(tmp_path, config, stand_in):
    env = environment(tmp_path, LAKE_CONFIG=config, BACKUP_LAKE=stand_in)
    with (tmp_path / "log.lock").open("w") as held:
        fcntl.flock(held, fcntl.LOCK_EX)
        done = run(env)
        assert done.returncode == 75
        assert "another run" in done.stderr
        assert calls(stand_in) == []
    assert run(env).returncode == 0
    assert calls(stand_in) == STEPS


def test_an_interrupt_ends_the_running_step(tmp_path, config, stand_in):
    stand_in.with_name("waits").write_text("recheck")
    env = environment(tmp_path, LAKE_CONFIG=config, BACKUP_LAKE=stand_in)
    with subprocess.Popen([SCRIPT], env=env, stderr=subprocess.PIPE) as running:
        while not stand_in.with_name("waiting").exists():
            time.sleep(0.05)
        time.sleep(0.5)  # the shell waits for the step by now, also on a busy machine
        running.send_signal(signal.SIGTERM)
        assert running.wait(90) == 143
    assert calls(stand_in) == STEPS[:2]
    stand_in.with_name("waits").unlink()
    assert run(env).returncode == 0  # the lock is free again


def test_which_snapshots_is_a_choice(tmp_path, config, stand_in):
    env = environment(tmp_path, LAKE_CONFIG=config, BACKUP_LAKE=stand_in)
    assert run(env | {"BACKUP_SYSTEMS": "loki"}).returncode == 0
    assert calls(stand_in) == [*STEPS[:2], STEPS[4], STEPS[5]]
    stand_in.with_name("calls").unlink()
    assert run(env | {"BACKUP_SYSTEMS": "none"}).returncode == 0
    assert calls(stand_in) == STEPS[:2]


@pytest.mark.parametrize(
    ("values", "text"),
    [
        ({"LAKE_CONFIG": "/no/such.toml"}, "no configuration"),
        ({"BACKUP_SYSTEMS": "grafana"}, "grafana"),
        ({"BACKUP_DAY": "yesterday"}, "BACKUP_DAY"),
        ({"BACKUP_LAKE": "/no/such/lake"}, "/no/such/lake"),
        ({"BACKUP_ENV_FILE": "/etc/passwd"}, "chmod 600"),
        ({"BACKUP_LOG": "/proc/no/log"}, "BACKUP_LOG"),
    ],
)
def test_wrong_settings_are_told_before_anything_is_done(tmp_path, config, stand_in, values, text):
    env = environment(tmp_path, LAKE_CONFIG=config, BACKUP_LAKE=stand_in) | values
    done = run(env)
    assert done.returncode == 2
    assert text in done.stderr
    assert calls(stand_in) == []


def test_unknown_arguments_are_wrong_usage(tmp_path, config):
    assert run(environment(tmp_path, LAKE_CONFIG=config), "--dryrun").returncode == 2


def test_its_head_names_every_variable():
    head, _, body = SCRIPT.read_text().partition("set -euo pipefail")
    used = set(re.findall(r"\$\{((?:BACKUP|LAKE)_[A-Z_]+)", body))
    assert used == set(re.findall(r"^#   ((?:BACKUP|LAKE)_[A-Z_]+) ", head, re.MULTILINE))


def test_it_is_clean_to_shellcheck():
    program = Path(sys.executable).with_name("shellcheck")
    path = str(program) if program.exists() else shutil.which("shellcheck")
    if path is None:
        (pytest.fail if os.environ.get("CI") else pytest.skip)("shellcheck is not here")
    scripts = sorted(SCRIPT.parents[1].rglob("*.sh"))
    assert SCRIPT in scripts
    done = subprocess.run([path, *scripts], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout
