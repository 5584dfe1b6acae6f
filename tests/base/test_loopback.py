"""Requests to this machine itself take no proxy, whatever else NO_PROXY lists."""

from __future__ import annotations

from urllib.request import getproxies_environment, proxy_bypass_environment

import pytest

from lake.base.proxies import spare_loopback

_PROXY = "http://proxy.example:3128"


@pytest.mark.parametrize("listed", [{}, {"NO_PROXY": ".corp"}, {"no_proxy": ".corp, localhost"}])
@pytest.mark.parametrize("name", ["HTTP_PROXY", "https_proxy", "ALL_PROXY"])
def test_loopback(listed: dict[str, str], name: str, monkeypatch) -> None:
    """As the standard library reads the variables."""
    env = {name: _PROXY, **listed}
    spare_loopback(env)
    monkeypatch.setattr("os.environ", env)
    proxies = getproxies_environment()
    for host in ("localhost", "127.0.0.1", "::1"):
        assert proxy_bypass_environment(host, proxies)
    assert not proxy_bypass_environment("s3.example", proxies)
    assert bool(proxy_bypass_environment("a.corp", proxies)) == bool(listed)
    assert env["NO_PROXY"] == env["no_proxy"]
    before = dict(env)
    spare_loopback(env)
    assert env == before


@pytest.mark.parametrize("env", [{}, {"NO_PROXY": "a"}, {"HTTP_PROXY": _PROXY, "NO_PROXY": "*"}])
def test_nothing_to_do(env: dict[str, str]) -> None:
    before = dict(env)
    spare_loopback(env)
    assert env == before
