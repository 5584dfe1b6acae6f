"""Servers of our own, for a look at a server sees all that it holds; and the command line."""

from __future__ import annotations

import os
from collections.abc import Iterator

import pytest
from support.command_line import runner

from lake.base.day import Day
from lake.demo.load import Loaded, load
from lake.demo.scenario import Scenario
from lake.servers import Stack, start

DAYS = 2


@pytest.fixture(scope="session")
def filled() -> Iterator[tuple[Stack, Loaded]]:
    """MongoDB, Prometheus and Loki with two days of the demo's history, up to yesterday."""
    with start(["mongo", "prometheus", "loki"]) as stack:
        yield stack, load(stack.endpoints, Scenario(Day.today().plus(-DAYS), DAYS))


@pytest.fixture
def endpoints(filled) -> dict[str, str]:
    """The addresses."""
    mongo, prometheus, loki = (filled[0].endpoints[n] for n in ("mongo", "prometheus", "loki"))
    return {"mongo": mongo["uri"], "prometheus": prometheus["url"], "loki": loki["url"]}


@pytest.fixture
def lake(tmp_path, monkeypatch, capsys):
    """Runs the command line in an empty directory: exit status, standard output, standard error."""
    for name in [name for name in os.environ if name.startswith("LAKE_") and "CACHE" not in name]:
        monkeypatch.delenv(name)
    monkeypatch.chdir(tmp_path)
    with runner(monkeypatch, capsys) as run:
        yield run
