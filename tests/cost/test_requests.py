"""Requests of each operation, counted before the real S3 server."""

from __future__ import annotations

from datetime import timedelta

import pytest
from support.counting_proxy import CountingProxy

from lake.cost import requests
from lake.query import cached_store, manifests

pytestmark = pytest.mark.slow
QUESTION = "SELECT count(*) AS n, max(line) AS m FROM container_logs"


@pytest.fixture
def counted(site, s3, run, tmp_path, monkeypatch):
    """`lake …` → requests; the lake is the site's, in a bucket of its own."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    with CountingProxy(s3["endpoint_url"]).running() as proxy:
        text = site.config.read_text().replace('root = "lake"', f'root = "s3://{s3["bucket"]}/x"')
        section = f'\n[s3]\nendpoint_url = "{proxy.url}"\nregion = "{s3["region"]}"\n'
        file = tmp_path / "lake.toml"
        file.write_text(text + section)

        def command(*arguments: str) -> dict[str, int]:
            proxy.taken()
            status, _, err = run(*arguments, "--config", str(file))
            assert status == 0, err
            return proxy.taken()

        yield command


def same(taken: dict[str, int], counted: requests.Counted) -> None:
    """PUT exactly; of reading requests a few more or fewer, as a client library has them."""
    assert taken.get("PUT", 0) == counted.put
    assert taken.get("LIST", 0) == pytest.approx(counted.list, abs=max(1, counted.list * 0.25))
    assert taken.get("GET", 0) == pytest.approx(counted.get, abs=max(2, counted.get * 0.4))


def test_they_are_as_many_as_assumed(counted, site):
    datasets = [dataset.name for dataset in site.settings.dataset]
    days = [str(site.first), str(site.last)]
    for name in datasets:
        for day in days:
            same(counted("export", name, "--day", day), requests.EXPORT)
    number = len(datasets) * len(days)
    same(counted("recheck"), requests.RECOUNT.times(number))
    taken = counted("metrics")
    assert "PUT" not in taken
    ledger = requests.ledger(number, 2 * number)  # manifests of tables and of rollups
    lists = requests.METRICS.list + ledger.list
    same(taken, requests.Counted(0, lists, requests.METRICS.get + ledger.get))
    same(counted("alert", "check"), ledger)
    same(counted("status", "--no-sources"), requests.Counted(0, ledger.list + 5, ledger.get))
    verified = requests.VERIFIED_DAY.times(number)
    lists = requests.VERIFY_OF_A_DATASET.list * len(datasets)
    same(counted("verify"), requests.Counted(0, lists, verified.get))
    queried = requests.QUERIED_DAY.times(len(days))
    same(counted("query", QUESTION), requests.Counted(0, requests.QUERY.list, queried.get))


def test_unchanged_manifests_are_read_once(counted, site, monkeypatch):
    """As in a lake whose datasets have more than FEW days."""
    monkeypatch.setattr(cached_store, "FEW", 0)
    monkeypatch.setattr(manifests, "_SETTLED", timedelta(seconds=-5))
    datasets = [dataset.name for dataset in site.settings.dataset]
    for name in datasets:
        counted("export", name, "--day", str(site.first))
    for command, beside in (("metrics", requests.METRICS), ("alert check", requests.Counted())):
        counted(*command.split())
        taken = counted(*command.split())
        lists = beside.list + requests.ledger(len(datasets), 0).list
        same(taken, requests.Counted(0, lists, beside.get))
