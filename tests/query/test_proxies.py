"""Queries over S3 where the environment names an HTTP proxy: those that boto3's requests take."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from urllib.parse import quote

import pytest
from support.forward_proxy import PASSWORD, USER, ForwardProxy
from support.tls import certificates, tls_in_front_of

from lake.base.errors import PermanentError, TransientError
from lake.store import open_store

_NOBODY = "http://127.0.0.1:9"
_VARIABLES = ("HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY", "NO_PROXY")
_SECTION = '[s3]\nendpoint_url = "{0}"\nregion = "{1}"\n'


@pytest.fixture(autouse=True)
def no_proxy(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in _VARIABLES:
        monkeypatch.delenv(name, raising=False)
        monkeypatch.delenv(name.lower(), raising=False)


@pytest.fixture
def proxy() -> Iterator[ForwardProxy]:
    with ForwardProxy().running() as running:
        yield running


@pytest.fixture
def s3_lake(make_lake, table, s3):
    section = _SECTION.format(s3["endpoint_url"], s3["region"])
    lake = make_lake("events", root=f"s3://{s3['bucket']}", s3=section)
    for day in ("2026-07-01", "2026-07-02"):
        lake.put("events", day, table(n=[1, 2]))
    return lake


def _answer(lake) -> list:
    with lake.connect() as session:
        return session.rows("SELECT sum(n) AS n FROM events")


@pytest.mark.parametrize("name", ["HTTP_PROXY", "http_proxy"])
@pytest.mark.parametrize("end", ["", "/"])
def test_a_proxy_with_a_password(s3_lake, s3, proxy, monkeypatch, name: str, end: str) -> None:
    user, password = (quote(text, safe="") for text in (USER, PASSWORD))
    monkeypatch.setenv(name, f"http://{user}:{password}@{proxy.address}{end}")
    assert _answer(s3_lake) == [{"n": 6}]
    assert proxy.passed
    assert all(address.startswith(s3["endpoint_url"]) for address in proxy.passed)
    proxy.passed.clear()
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    assert _answer(s3_lake) == [{"n": 6}]
    assert not proxy.passed


def test_the_proxy_of_http_is_not_that_of_https(
    make_lake, table, s3_lake, s3, monkeypatch, tmp_path
) -> None:
    """boto3 takes HTTPS_PROXY alone for an https address, and http_proxy before HTTP_PROXY."""
    own = certificates(tmp_path)
    host, port = s3["endpoint_url"].removeprefix("http://").split(":")
    with tls_in_front_of((host, int(port)), own.server) as secure:
        section = _SECTION.format(f"https://127.0.0.1:{secure}", s3["region"])
        section += f'ca_file = "{own.ca}"\n'
        lake = make_lake("events", root=f"s3://{s3['bucket']}", s3=section)
        monkeypatch.setenv("HTTP_PROXY", _NOBODY)
        assert _answer(lake) == [{"n": 6}]
    monkeypatch.setenv("http_proxy", "")
    monkeypatch.delenv("HTTP_PROXY")
    monkeypatch.setenv("HTTPS_PROXY", _NOBODY)
    assert _answer(s3_lake) == [{"n": 6}]


@pytest.mark.parametrize("name", ["HTTP_PROXY", "http_proxy"])
def test_a_proxy_that_does_not_answer_is_named(s3_lake, monkeypatch, name: str) -> None:
    monkeypatch.setenv(name, _NOBODY)
    with pytest.raises(TransientError) as caught:
        _answer(s3_lake)
    assert "NO_PROXY" in caught.value.parts["remedy"]
    assert name in caught.value.parts["remedy"]


@pytest.mark.parametrize("name", ["HTTP_PROXY", "http_proxy"])
def test_a_proxy_that_wants_a_password(s3_lake, proxy, monkeypatch, name: str) -> None:
    monkeypatch.setenv(name, f"http://a:secret-word@{proxy.address}")
    with pytest.raises(PermanentError, match="the HTTP proxy refused") as caught:
        _answer(s3_lake)
    assert "secret-word" not in str(caught.value)
    with pytest.raises(PermanentError, match="the HTTP proxy refused"):
        list(open_store(s3_lake.settings).list("manifests/"))


@pytest.mark.parametrize("arguments", [("query", "SELECT n FROM events"), ("verify",)])
def test_the_command_reaches_this_machine_without_a_proxy(s3_lake, arguments) -> None:
    """As on a company's machine, whose NO_PROXY does not list it: `lake demo`, tests, tunnels."""
    command = [sys.executable, "-m", "lake", *arguments, "--config", str(s3_lake.config)]
    env = {**os.environ, "HTTP_PROXY": _NOBODY, "https_proxy": _NOBODY, "NO_PROXY": ".corp"}
    done = subprocess.run(command, env=env, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


def test_an_address_that_is_no_proxy(s3_lake, monkeypatch) -> None:
    monkeypatch.setenv("HTTP_PROXY", "https://proxy.example:3128/")
    with pytest.raises(PermanentError, match="the HTTP proxy can't be used") as caught:
        _answer(s3_lake)
    assert "HTTP_PROXY" in caught.value.parts["remedy"]
