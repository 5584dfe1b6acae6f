"""Lokis with tight limits, several tenants and short-lived chunks, beside the shared one."""

from __future__ import annotations

import json
import uuid
from collections.abc import Iterator
from pathlib import Path

import pytest
from support.loki_client import LokiClient
from support.loki_versions import NO_NEWEST

from lake.base.errors import LakeError
from lake.servers import Binary, Stack, find_all, has_version, start
from lake.servers.binaries import version_parts

OWN_LIMITS = {
    "split-15m": {"split_queries_by_interval": "15m"},
    "split-2h": {"split_queries_by_interval": "2h"},
    "split-none": {"split_queries_by_interval": "0s"},
    "plain-labels": {"discover_service_name": []},
}
"""Tenants with limits of their own."""


@pytest.fixture
def loki(loki_url: str) -> LokiClient:
    return LokiClient(loki_url)


@pytest.fixture
def job() -> str:
    """A label value that nobody else uses."""
    return f"job-{uuid.uuid4().hex[:12]}"


@pytest.fixture(scope="session")
def small_loki(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stack]:
    """Tenants, at most 100 lines an answer, queries cut at every half hour, short-lived chunks.

    A Loki 3: its tests are about metadata and about old lines that come at any time, too.
    """
    newest = [program for program in find_all("loki") if has_version(program, "3")]
    if not newest:
        pytest.skip(NO_NEWEST)
    overrides: Path = tmp_path_factory.mktemp("loki") / "overrides.json"  # JSON is YAML
    overrides.write_text(json.dumps({"overrides": OWN_LIMITS}))
    try:
        running = start(
            ["loki"],
            programs={"loki": newest[0]},
            loki_multi_tenant=True,
            loki_limits={"max_entries_limit_per_query": 100, "split_queries_by_interval": "30m"},
            loki_config={
                "ingester": {"flush_check_period": "100ms"},
                "querier": {"multi_tenant_queries_enabled": True},
                "runtime_config": {"file": str(overrides)},
            },
        )
    except LakeError as error:
        pytest.skip(f"Loki can't be started\n{error}")
    with running:
        yield running


@pytest.fixture
def small(small_loki: Stack, job: str) -> LokiClient:
    """A tenant of its own."""
    return LokiClient(small_loki.endpoints["loki"]["url"], tenant=job)


@pytest.fixture(scope="session")
def chunky(loki_program: Binary) -> Iterator[Stack]:
    """Small answers; chunks are stored as soon as they are flushed, and before 2.8 in memory, too:
    there the index that is read is up to a minute old.
    """
    old = version_parts(loki_program.version) < (2, 8)
    retained = {"chunk_retain_period": "15m"} if old else {}
    with start(
        ["loki"],
        programs={"loki": loki_program},
        loki_multi_tenant=True,
        loki_limits={"max_entries_limit_per_query": 300},
        loki_config={"ingester": {"flush_check_period": "100ms", **retained}},
    ) as running:
        yield running


@pytest.fixture
def server(chunky: Stack, job: str) -> LokiClient:
    """A tenant of its own."""
    return LokiClient(chunky.endpoints["loki"]["url"], tenant=job)
