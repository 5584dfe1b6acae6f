"""deploy/compose as parsed; and its commands, with Dagster's own programs, without Docker."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
import time
import uuid
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

import pytest
import requests
import yaml

from lake.base.cache import cache_dir
from lake.config.settings import load
from lake.servers.ports import free_ports
from lake.servers.process import Process

ROOT = Path(__file__).parents[2]
HERE = ROOT / "deploy/compose"
TEXT = (HERE / "compose.yaml").read_text("utf-8")
COMPOSE: dict[str, Any] = yaml.safe_load(TEXT)
SERVICES: dict[str, dict[str, Any]] = COMPOSE["services"]
LAKE_TOML = """
[lake]
root = "s3://bucket/lake"
[sources.mongo]
uri = "mongodb://mongo:27017"
database = "miyou"
[sources.prometheus]
url = "http://prometheus:9090"
[sources.loki]
url = "http://loki:3100"
"""


def variables(file: Path) -> dict[str, str]:
    lines = [line for line in file.read_text("utf-8").splitlines() if line and line[0] != "#"]
    return dict(line.partition("=")[::2] for line in lines)


def binds() -> Iterator[str]:
    for service in SERVICES.values():
        for volume in service["volumes"]:
            if isinstance(volume, str) and volume.startswith("."):
                yield volume.split(":")[0]


@pytest.mark.parametrize("name", SERVICES)
def test_every_container_is_confined(name):
    service = SERVICES[name]
    assert service["read_only"]
    assert service["cap_drop"] == ["ALL"]
    assert service["security_opt"] == ["no-new-privileges:true"]
    assert not {"privileged", "network_mode", "pid"} & set(service)
    assert service["restart"] == ("no" if name == "lake" else "unless-stopped")


@pytest.mark.parametrize("name", ["webserver", "daemon"])
def test_only_runs_have_secrets_and_the_sources(name):
    assert not {"env_file", "secrets"} & set(SERVICES[name])
    assert SERVICES[name]["networks"] == ["own"]
    assert "healthcheck" in SERVICES[name]


def test_data_of_others_is_read_only_but_for_the_snapshots_directory():
    for name in ("code", "lake"):
        volumes = SERVICES[name]["volumes"]
        of_others = [v for v in volumes if isinstance(v, str) and v.split(":")[0] in
                     ("prometheus", "loki")]  # fmt: skip
        assert sorted(of_others) == ["loki:/loki:ro", "prometheus:/prometheus:ro"]
        (writable,) = (v for v in volumes if isinstance(v, dict))
        assert writable["target"] == "/prometheus/snapshots"
        assert writable["volume"] == {"subpath": "snapshots"}


def test_ports_are_on_the_loopback():
    ports = [port for service in SERVICES.values() for port in service.get("ports", ())]
    assert len(ports) == 1
    assert all(port.startswith("127.0.0.1:") for port in ports)


def test_every_file_is_there():
    context = COMPOSE["x-lake"]["build"]
    assert (HERE / context / "Dockerfile").is_file()
    paths = set(binds())
    assert len(paths) >= 3
    assert [path for path in paths if not (HERE / path).exists()] == []
    assert {".env", "lake.env"} <= set((HERE / ".gitignore").read_text("utf-8").split())
    for folder in ("config", "secrets", "programs"):
        assert (HERE / folder / ".gitignore").read_text("utf-8").split()[0] == "*"
    assert {secret["file"] for secret in COMPOSE["secrets"].values()} == {
        "./secrets/aws-credentials"
    }


def test_every_variable_of_the_file_has_a_value_in_the_example():
    used = set(re.findall(r"\$\{(\w+)", TEXT))
    assert used == set(variables(HERE / ".env.example"))


def test_volumes_and_networks_are_declared():
    declared = set(COMPOSE["volumes"])
    for service in SERVICES.values():
        assert set(service["networks"]) <= set(COMPOSE["networks"])
        named = {
            v["source"] if isinstance(v, dict) else v.split(":")[0] for v in service["volumes"]
        }
        assert {volume for volume in named if volume[0] not in ".$"} <= declared | {
            "../dagster/dagster.yaml"
        }


def test_the_environment_is_one_that_the_configuration_takes(tmp_path: Path):
    file = tmp_path / "lake.toml"
    file.write_text(LAKE_TOML)
    secret = uuid.uuid4().hex  # no message of this process shows it again
    example = variables(HERE / "lake.env.example")
    example = {k: re.sub("PASSWORD|TOKEN", secret, v) for k, v in example.items()}
    given = {**SERVICES["code"]["environment"], **example}
    ours = {name for name in given if name.startswith("LAKE_")}
    assert len(ours) >= 6
    settings = load(str(file), given)
    assert settings.snapshots.prometheus.data_dir == "/prometheus"
    assert settings.snapshots.loki.config_file == "/etc/loki/loki-config.yml"
    assert settings.sources.prometheus.password.get_secret_value() == secret
    mounts = {v.removesuffix(":ro").rpartition(":")[2] for v in SERVICES["code"]["volumes"]
              if isinstance(v, str)}  # fmt: skip
    assert {"/prometheus", "/loki", "/etc/loki/loki-config.yml"} <= mounts


def image_command() -> list[str]:
    text = re.sub(r"\\\n\s*", "", (ROOT / "Dockerfile").read_text("utf-8"))
    return json.loads(re.findall(r"(?m)^CMD (.*)$", text)[-1])


@contextmanager
def running(command: list[str], environment: dict[str, str], log: Path) -> Iterator[None]:
    program = str(Path(sys.executable).parent / command[0])
    process = Process([program, *command[1:]], home=log.parent, log=log, grace_s=30,
                      environment=environment, throw_away=False)  # fmt: skip
    try:
        yield
        assert process.alive, log.read_text("utf-8")
        process.stop()
    finally:
        process.kill()


def answer_to(url: str, query: str) -> dict[str, Any]:
    answer = requests.post(f"{url}/graphql", json={"query": query}, timeout=60).json()
    assert "errors" not in answer, answer
    return answer["data"]


LAUNCH = """mutation { launchRun(executionParams: { mode: "default", selector: {
  repositoryLocationName: "monitoring-lake", repositoryName: "__repository__",
  jobName: "rehearse" } }) {
    __typename ... on LaunchRunSuccess { run { runId } } ... on PythonError { message } } }"""
RUN = """{ logsForRun(runId: "%s") { ... on EventConnection { events { __typename
  ... on ExecutionStepFailureEvent { error { message cause { message } } } } } } }"""


def until(command: list[str], environment: dict[str, str], within_s: float = 180) -> None:
    """Until a health check exits with 0."""
    program = str(Path(sys.executable).parent / command[0])
    deadline = time.monotonic() + within_s
    while True:
        done = subprocess.run([program, *command[1:]], env=environment, capture_output=True,
                              text=True, check=False)  # fmt: skip
        if done.returncode == 0:
            return
        assert time.monotonic() < deadline, done.stdout + done.stderr
        time.sleep(1)


@pytest.mark.slow
def test_the_three_programs_work_together(tmp_path: Path):
    """The containers' own commands and health checks; hosts and ports are this machine's."""
    ports = free_ports(["code", "web"])
    toml, home = tmp_path / "lake.toml", tmp_path / "home"
    toml.write_text(LAKE_TOML.replace("s3://bucket/lake", str(tmp_path / "lake")))
    home.mkdir()
    (home / "dagster.yaml").write_bytes((ROOT / "deploy/dagster/dagster.yaml").read_bytes())
    workspace = tmp_path / "workspace.yaml"
    text = (HERE / "workspace.yaml").read_text("utf-8")
    workspace.write_text(
        text.replace("host: code", "host: 127.0.0.1").replace("4000", str(ports["code"]))
    )
    here = {
        "0.0.0.0": "127.0.0.1",
        "4000": str(ports["code"]),
        "3000": str(ports["web"]),
        "/etc/dagster/workspace.yaml": str(workspace),
    }

    def local(command: list[str]) -> list[str]:
        return [here.get(word, word).replace(":3000", f":{ports['web']}") for word in command]

    def check(name: str) -> list[str]:
        return local(SERVICES[name]["healthcheck"]["test"][1:])

    without = {name: value for name, value in os.environ.items() if not name.startswith("LAKE_")}
    without |= {"DAGSTER_HOME": str(home)}
    with_lake = {**without, "LAKE_CONFIG": str(toml), "LAKE_CACHE_DIR": str(cache_dir())}
    health = re.search(
        r"HEALTHCHECK .*?CMD (\[.*?\])", (ROOT / "Dockerfile").read_text(), re.DOTALL
    )
    assert health
    url = f"http://127.0.0.1:{ports['web']}"
    with ExitStack() as stack:
        stack.enter_context(running(local(image_command()), with_lake, tmp_path / "code.log"))
        until(local(json.loads(health[1])), without)
        for name in ("webserver", "daemon"):
            command = local(SERVICES[name]["command"])
            stack.enter_context(running(command, without, tmp_path / f"{name}.log"))
        until(check("webserver"), without)
        until(check("daemon"), without)
        launched = answer_to(url, LAUNCH)["launchRun"]
        assert launched["__typename"] == "LaunchRunSuccess", launched
        # It fails because there is no snapshot: only the code server has the lake's configuration.
        deadline = time.monotonic() + 180
        failures: list[Any] = []
        while not failures:
            assert time.monotonic() < deadline
            time.sleep(1)
            events = answer_to(url, RUN % launched["run"]["runId"])["logsForRun"]["events"]
            failures = [e for e in events if e["__typename"] == "ExecutionStepFailureEvent"]
        assert "there is no snapshot to rehearse with" in str(failures)
