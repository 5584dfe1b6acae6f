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
from http.server import BaseHTTPRequestHandler
from pathlib import Path

import pytest
from support.loaded_site import SYSTEMS, Site
from support.serving import HttpServer, serving

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
env >"$here/environment"
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
            moved = "moved" in self.path
            self.send_response(410 if "refused" in self.path else 301 if moved else 200)
            if moved:
                self.send_header("Location", "https://elsewhere.example/")
            self.end_headers()

    server = HttpServer(Handler)
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


@pytest.mark.parametrize("answer", ["refused", "moved"])
def test_a_heartbeat_that_is_not_taken_has_a_status_of_its_own(
    tmp_path, config, stand_in, heartbeat, answer
):
    url, _ = heartbeat
    env = environment(
        tmp_path, LAKE_CONFIG=config, BACKUP_LAKE=stand_in, BACKUP_HEARTBEAT_URL=f"{url}/{answer}"
    )
    done = run(env)
    assert done.returncode == 3
    assert answer not in (tmp_path / "log").read_text() + done.stderr


AWKWARD = {
    "LAKE_SOURCES__MONGO__URI": "mongodb://u:p$$w@h/?authSource=admin&tls=true",
    "LAKE_SOURCES__PROMETHEUS__PASSWORD": "two words; $(touch made)`touch made`",
    "LAKE_SOURCES__LOKI__PASSWORD": 'it"s #5\\ $a',
    "AWS_SECRET_ACCESS_KEY": "a/b+c=",
}


@pytest.mark.parametrize("name", ["env", "-env", "with space"])
def test_values_of_the_file_are_taken_as_they_stand(tmp_path, config, stand_in, name):
    """`env` is on PATH as well, where `source` would look first."""
    mongo, prometheus, loki, aws = AWKWARD.items()
    lines = ["# secrets", "", "=".join(mongo) + "  ", "=".join(prometheus),
             f"export {loki[0]}='{loki[1]}'", f'{aws[0]}="{aws[1]}"']  # fmt: skip
    file = tmp_path / name
    file.write_text("\n".join(lines))
    file.chmod(0o600)
    env = environment(tmp_path, LAKE_CONFIG=config, BACKUP_LAKE=stand_in, BACKUP_ENV_FILE=name)
    done = subprocess.run([SCRIPT], env=env, cwd=tmp_path, capture_output=True, text=True,
                          timeout=120, check=False)  # fmt: skip
    assert (done.returncode, done.stderr) == (0, "")
    seen = stand_in.with_name("environment").read_text().splitlines()
    assert {f"{key}={value}" for key, value in AWKWARD.items()} <= set(seen)
    assert not (tmp_path / "made").exists()


@pytest.mark.parametrize("line", ["a secret word", "NAME=a\\secret", 'NAME="a\\$secret"'])
def test_a_line_that_has_no_sure_meaning_is_refused_unseen(tmp_path, config, stand_in, line):
    file = tmp_path / "env"
    file.write_text(f"A=1\n{line}\n")
    file.chmod(0o600)
    done = run(
        environment(tmp_path, LAKE_CONFIG=config, BACKUP_LAKE=stand_in, BACKUP_ENV_FILE=file)
    )
    assert done.returncode == 2
    assert "line 2 of" in done.stderr
    assert "secret" not in done.stderr


def test_a_log_on_a_full_disk_stops_no_step(tmp_path, config, stand_in):
    env = environment(tmp_path, LAKE_CONFIG=config, BACKUP_LAKE=stand_in, BACKUP_LOG="/dev/full",
                      BACKUP_LOCK=tmp_path / "lock")  # fmt: skip
    assert run(env).returncode == 0
    assert calls(stand_in) == STEPS


def test_without_flock_it_is_not_another_run_that_holds_the_lock(tmp_path, config, stand_in):
    programs = tmp_path / "programs"
    programs.mkdir()
    for name in ("bash", "cat", "date", "dirname", "env", "grep", "mkdir", "sh"):
        (programs / name).symlink_to(shutil.which(name) or name)
    env = environment(tmp_path, LAKE_CONFIG=config, BACKUP_LAKE=stand_in, PATH=programs)
    done = run(env)
    assert done.returncode == 2
    assert "another run" not in done.stderr
    assert calls(stand_in) == []


@pytest.mark.parametrize(
    ("toml", "values", "systems"),
    [
        ("[ sources.mongo ]\n#[sources.loki]\n", {}, ["mongo"]),
        ('[sources."prometheus"]\n', {"LAKE_SOURCES__LOKI__URL": "x"}, ["prometheus", "loki"]),
        ("[sources.mongos]\n", {}, []),
    ],
)
def test_systems_are_those_that_the_file_or_the_environment_has(
    tmp_path, config, stand_in, toml, values, systems
):
    config.write_text(toml)
    env = environment(tmp_path, LAKE_CONFIG=config, BACKUP_LAKE=stand_in, **values)
    taken = [call for call in run(env, "--dry-run").stdout.splitlines() if "snapshot " in call]
    assert taken == [f"{stand_in} snapshot {system}" for system in systems]


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
        ({"BACKUP_LOCK": "/proc/no/lock"}, "BACKUP_LOCK"),
        ({"BACKUP_LOG": "", "HOME": ""}, "HOME"),
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
