"""Real servers for the tests that ask for them: one set for the whole session.

Servers are shared, so a test uses names of its own: a database, a metric, a label,
a bucket. Tests that break a server start their own with `lake.servers.start`.
"""

from __future__ import annotations

import multiprocessing
import os
import signal
import sys
import uuid
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path

import boto3
import pymongo
import pytest
from support import patience
from support.browsing import browser
from support.in_memory import use_memory
from support.loaded_site import Site, running_site
from support.loki_versions import loki_program, pytest_generate_tests, pytest_terminal_summary
from support.on_request import needed
from support.slow_first import pytest_collection_modifyitems

from lake.base.errors import LakeError
from lake.servers import SERVER_NAMES, Binary, Stack, start
from lake.servers.s3 import REGION

pytest_plugins = ["support.garbage", "support.made_once", "support.one_day", "support.pure"]
use_memory()
# Container images like to set it. Each worker, and each program that a test starts, would then
# compile the package and the tests again.
os.environ.pop("PYTHONDONTWRITEBYTECODE", None)
sys.dont_write_bytecode = False
_HANDLERS = {number: signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)}
# Hooks and fixtures that pytest finds here.
__all__ = [
    "browser",
    "loki_program",
    "patience",
    "pytest_collection_modifyitems",
    "pytest_generate_tests",
    "pytest_terminal_summary",
]


@pytest.fixture(autouse=True)
def _signals_of_the_run() -> Iterator[None]:
    """Dagster leaves SIGTERM ignored, commands leave handlers: programs of later tests would
    inherit what is ignored.
    """
    _set_signals()
    yield
    _set_signals()


def _set_signals() -> None:
    for number, handler in _HANDLERS.items():
        signal.signal(number, handler)


@pytest.fixture(autouse=True)
def _no_process_left() -> Iterator[None]:
    """A test that fails may leave one that is stopped, and would never end."""
    yield
    for process in multiprocessing.active_children():
        process.kill()
        process.join()


@pytest.fixture(scope="session")
def stack() -> Iterator[Stack]:
    """All four servers."""
    try:
        running = start(SERVER_NAMES)
    except LakeError as error:
        if os.environ.get("CI"):
            pytest.fail(f"the servers can't be started\n{error}", pytrace=False)
        pytest.skip(f"the servers can't be started\n{error}")
    with running:
        yield running


@pytest.fixture(scope="session")
def thanos_program() -> Path:
    return needed("thanos")


@pytest.fixture(scope="session")
def mongo_uri(stack: Stack) -> str:
    return stack.endpoints["mongo"]["uri"]


@pytest.fixture
def mongo_database(mongo_uri: str) -> Iterator[str]:
    """The name of a database that nobody else uses; dropped afterwards."""
    name = f"test_{uuid.uuid4().hex[:12]}"
    yield name
    with pymongo.MongoClient(mongo_uri) as client:
        client.drop_database(name)


@pytest.fixture(scope="session")
def prometheus_url(stack: Stack) -> str:
    return stack.endpoints["prometheus"]["url"]


@pytest.fixture(scope="session")
def loki_of() -> Iterator[Callable[[Binary], Stack]]:
    """A running Loki of a program, started once, for tests change from version to version."""
    with ExitStack() as running:
        stacks: dict[Binary, Stack] = {}

        def of(program: Binary) -> Stack:
            if program not in stacks:
                stacks[program] = running.enter_context(start(["loki"], programs={"loki": program}))
            return stacks[program]

        yield of


@pytest.fixture(scope="session")
def loki_stack(loki_program: Binary, loki_of: Callable[[Binary], Stack]) -> Stack:
    """A Loki of each version (see loki_versions): tests run over all of them."""
    return loki_of(loki_program)


@pytest.fixture(scope="session")
def loki_url(loki_stack: Stack) -> str:
    return loki_stack.endpoints["loki"]["url"]


@pytest.fixture
def s3(stack: Stack, monkeypatch: pytest.MonkeyPatch) -> dict[str, str]:
    """The endpoint and a fresh `bucket`; the AWS default chain finds the keys."""
    endpoint = stack.endpoints["s3"]
    for name in [name for name in os.environ if name.startswith("AWS_")]:
        monkeypatch.delenv(name)
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", endpoint["access_key"])
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", endpoint["secret_key"])
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")
    bucket = f"test-{uuid.uuid4().hex[:12]}"
    client = boto3.client("s3", endpoint_url=endpoint["endpoint_url"], region_name=REGION)
    client.create_bucket(Bucket=bucket)
    return {**endpoint, "bucket": bucket, "region": REGION}


@pytest.fixture
def s3_root(s3: dict[str, str]) -> str:
    """A lake's root in a fresh bucket."""
    return f"s3://{s3['bucket']}"


@pytest.fixture(scope="session")
def site(stack: Stack, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    """Three servers with two days of the demo, exported and with snapshots: not to be changed."""
    with running_site(tmp_path_factory.mktemp("loaded")) as running:
        yield running
