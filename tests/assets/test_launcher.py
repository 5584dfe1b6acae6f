"""Runs whose code server has ended, on a real code server."""

from __future__ import annotations

import json
import logging
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import dagster as dg
import pytest
import yaml
from dagster._core.launcher.base import WorkerStatus
from dagster._core.storage.tags import GRPC_INFO_TAG
from dagster._core.test_utils import create_run_for_test
from dagster._core.workspace.context import WorkspaceProcessContext
from dagster._core.workspace.load_target import GrpcServerTarget
from dagster._daemon.monitoring import execute_run_monitoring_iteration
from dagster._grpc.client import DagsterGrpcClient
from support.waiting import wait_until

from lake.servers.ports import free_ports

ROOT = Path(__file__).parents[2]
DEFINITIONS = """
import time
import dagster as dg

@dg.op
def sleeps(context):
    context.log.info("asleep")
    time.sleep(3600)

@dg.job(executor_def=dg.in_process_executor)
def sleeping():
    sleeps()

defs = dg.Definitions(jobs=[sleeping])
"""


@pytest.fixture
def home(tmp_path: Path) -> Path:
    """An instance as it is deployed, but for the time for which a run may be quiet."""
    text = (ROOT / "deploy/dagster/dagster.yaml").read_text("utf-8")
    config = yaml.safe_load(text)
    config["run_launcher"]["config"] = {"quiet_seconds": 0}
    (tmp_path / "dagster.yaml").write_text(yaml.safe_dump(config))
    return tmp_path


@pytest.fixture
def instance(home: Path) -> Iterator[dg.DagsterInstance]:
    with dg.DagsterInstance.from_config(str(home)) as opened:
        yield opened


@pytest.fixture
def code_server(home: Path) -> Iterator[tuple[subprocess.Popen[bytes], int]]:
    file, port = home / "definitions.py", free_ports(("grpc",))["grpc"]
    file.write_text(DEFINITIONS)
    command = [sys.executable, "-m", "dagster", "api", "grpc", "--python-file", str(file)]
    with subprocess.Popen(
        [*command, "--host", "127.0.0.1", "--port", str(port), "--location-name", "here"],
        env={**os.environ, "DAGSTER_HOME": str(home)},
        start_new_session=True,
    ) as process:
        try:
            wait_until(lambda: is_answering(DagsterGrpcClient(port=port)))
            yield process, port
        finally:
            end(process)


def is_answering(client: DagsterGrpcClient) -> bool:
    try:
        return client.ping("") is not None
    except dg.DagsterError:
        return False


def end(server: subprocess.Popen[bytes]) -> None:
    """It and its runs, as when the machine goes down."""
    if server.poll() is None:
        os.killpg(server.pid, signal.SIGKILL)
        server.wait()


def test_a_run_ends_after_its_code_server(instance, code_server):
    server, port = code_server
    target = GrpcServerTarget(host="127.0.0.1", port=port, socket=None, location_name="here")
    with WorkspaceProcessContext(instance, target) as process:
        workspace = process.create_request_context()
        (repository,) = workspace.get_code_location("here").get_repositories().values()
        job = repository.get_full_job("sleeping")
        run_id = create_run_for_test(
            instance,
            job.name,
            remote_job_origin=job.get_remote_origin(),
            job_code_origin=job.get_python_origin(),
        ).run_id
        instance.launch_run(run_id, workspace)
        wait_until(lambda: "asleep" in logged(instance, run_id))
        monitor(process)
        assert instance.get_run_by_id(run_id).status == dg.DagsterRunStatus.STARTED
        end(server)
        monitor(process)
        assert instance.get_run_by_id(run_id).status == dg.DagsterRunStatus.FAILURE
        assert "its code server does not know it" in logged(instance, run_id)


def monitor(process: WorkspaceProcessContext) -> None:
    for _ in execute_run_monitoring_iteration(process, logging.getLogger("monitor")):
        pass


def logged(instance: dg.DagsterInstance, run_id: str) -> str:
    return "\n".join(entry.message for entry in instance.all_logs(run_id))


@pytest.mark.parametrize("answers", [True, False])
def test_a_run_that_its_code_server_does_not_know_may_go_on_in_an_earlier_one(
    instance, code_server, answers
):
    server, port = code_server
    info = {"host": "127.0.0.1", "port": port}
    run = create_run_for_test(
        instance,
        "sleeping",
        status=dg.DagsterRunStatus.STARTED,
        tags={GRPC_INFO_TAG: json.dumps(info)},
    )
    instance.report_engine_event("the last event", run)
    if not answers:
        end(server)
    checked = instance.run_launcher.check_run_worker_health(run)
    assert checked.status == WorkerStatus.NOT_FOUND
    instance.run_launcher._quiet_s = 1800
    checked = instance.run_launcher.check_run_worker_health(run)
    assert checked.status == WorkerStatus.RUNNING
