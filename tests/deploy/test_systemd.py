"""deploy/systemd: held against systemd's own check, where it is here, and the command line."""

from __future__ import annotations

import re
import shlex
import shutil
import subprocess
import sys
from pathlib import Path

import click
import pytest

from lake.cli.main import root

HERE = Path(__file__).parents[2] / "deploy/systemd"
UNITS = sorted(HERE.iterdir())
SERVICES = [unit for unit in UNITS if unit.suffix == ".service"]
PROGRAMS = "/opt/monitoring-lake/bin"


def settings(unit: Path) -> dict[str, list[str]]:
    """Values by key, each key's in order."""
    values: dict[str, list[str]] = {}
    for line in unit.read_text("utf-8").splitlines():
        if "=" in line and line[0] != "#":
            key, _, value = line.partition("=")
            values.setdefault(key, []).append(value)
    return values


def test_every_service_is_started_by_a_timer_or_at_boot():
    timers = {unit.stem for unit in UNITS if unit.suffix == ".timer"}
    assert timers == {
        f"monitoring-lake-{name}"
        for name in ("nightly", "ttl", "retention", "verify", "metrics", "storage")
    }
    for unit in SERVICES:
        assert (unit.stem in timers) != ("WantedBy" in settings(unit)), unit.name


def test_systemd_accepts_every_unit(tmp_path: Path):
    if not shutil.which("systemd-analyze"):
        pytest.skip("no systemd-analyze here")
    here = str(Path(sys.executable).parent)
    copies = [tmp_path / unit.name for unit in UNITS]
    for unit, copy in zip(UNITS, copies, strict=True):
        copy.write_text(unit.read_text("utf-8").replace(PROGRAMS, here), "utf-8")
    done = subprocess.run(["systemd-analyze", "verify", *copies], capture_output=True, text=True,
                          check=False)  # fmt: skip
    of_ours = [line for line in done.stderr.splitlines() if "monitoring-lake" in line]
    assert of_ours == []


def test_systemd_refuses_a_mistake(tmp_path: Path):
    """So that the test above can fail."""
    if not shutil.which("systemd-analyze"):
        pytest.skip("no systemd-analyze here")
    text = SERVICES[0].read_text("utf-8").replace("ProtectSystem=strict", "ProtectSystem=firm")
    (tmp_path / "a.service").write_text(text, "utf-8")
    done = subprocess.run(["systemd-analyze", "verify", tmp_path / "a.service"],
                          capture_output=True, text=True, check=False)  # fmt: skip
    assert "protect system" in done.stderr


@pytest.mark.parametrize("unit", SERVICES, ids=lambda path: path.stem)
def test_every_service_is_confined(unit: Path):
    values = settings(unit)
    assert values["User"] == ["monitoring-lake"]
    for key in ("NoNewPrivileges", "PrivateTmp", "PrivateDevices", "ProtectHome"):
        assert values[key] == ["yes"], key
    assert values["ProtectSystem"] == ["strict"]
    assert values["CapabilityBoundingSet"] == [""]
    runs = "EnvironmentFile" in values
    assert runs == (unit.stem.rpartition("-")[2] not in ("webserver", "daemon"))
    assert not re.search(r"(?i)password|secret|token", " ".join(values["Environment"]))


def test_every_command_of_lake_is_there():
    text = "\n".join(" ".join(settings(unit)["ExecStart"]) for unit in SERVICES)
    (steps,) = re.findall(r"for step in ([^;]+);", text)
    commands = [[step] for step in steps.split()]
    commands += [shlex.split(line) for line in re.findall(rf"{PROGRAMS}/lake (.+)", text)]
    assert ["ttl", "apply"] in commands
    assert ["retention", "apply"] in commands  # a term that no person has confirmed is none
    assert ["verify", "--record"] in commands
    for words in commands:
        command: click.Command = root
        context = click.Context(root)
        while isinstance(command, click.Group):
            subcommand = command.get_command(context, words.pop(0))
            assert subcommand
            command = subcommand
        known = {option for parameter in command.params for option in parameter.opts}
        assert {word for word in words if word.startswith("-")} <= known


def test_the_night_goes_on_after_a_failed_step_and_fails(tmp_path: Path):
    (unit,) = (service for service in SERVICES if service.stem.endswith("nightly"))
    program = tmp_path / "lake"
    program.write_text('#!/bin/sh\necho "$1" >> done\n[ "$1" != export ]\n')
    program.chmod(0o755)
    words = shlex.split(settings(unit)["ExecStart"][0])
    done = subprocess.run(words, cwd=tmp_path, env={"PATH": f"{tmp_path}:/bin"}, check=False)
    assert done.returncode == 1
    assert (tmp_path / "done").read_text().split() == ["export", "recheck", "status"]
    program.write_text("#!/bin/sh\n")
    subprocess.run(words, cwd=tmp_path, env={"PATH": f"{tmp_path}:/bin"}, check=True)
