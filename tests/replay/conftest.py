"""A lake on S3 with two days of hostile data, and its replay: once for all tests of this folder."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from support.log_site import LogSite, running_log_site
from support.replay_site import ReplaySite, running_site

from lake.replay import Replayed, find_partitions, replayed
from lake.servers import Binary


@pytest.fixture(scope="session")
def replay_site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ReplaySite]:
    """The source's servers and the lake."""
    with running_site(tmp_path_factory.mktemp("replay")) as site:
        yield site


@pytest.fixture(scope="session")
def again(replay_site: ReplaySite) -> Iterator[Replayed]:
    """Everything replayed into servers that nobody writes to any more."""
    settings, store = replay_site.settings, replay_site.store
    chosen = settings.datasets_named(replay_site.disjoint)
    partitions = find_partitions(store, chosen, replay_site.days, allow_missing=False)
    with replayed(settings, store, partitions) as result:
        yield result


@pytest.fixture(scope="session")
def log_site(loki_program: Binary, tmp_path_factory: pytest.TempPathFactory) -> Iterator[LogSite]:
    """A Loki of each version and a lake of its lines."""
    with running_log_site(tmp_path_factory.mktemp("logs"), loki_program) as site:
        yield site


@pytest.fixture(scope="session")
def logs_again(log_site: LogSite) -> Iterator[Replayed]:
    """Its lines replayed."""
    with log_site.replay() as result:
        yield result
